"""
The landing page: one self-contained HTML document for whoever opens the port in a browser.

It has no scripts and loads nothing.  It never reads the log or the metrics: what it shows, it is
given.
"""

from collections.abc import Sequence
from html import escape
from string import Template

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>milter-manager-exporter</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --text: #1d1f21; --page: #fdfdfc; --link: #0b5394; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e3e3e0; --page: #17181a; --link: #8ab4f8; }
}
body { margin: 2rem auto; max-width: 44rem; padding: 0 1rem; line-height: 1.5;
  font-family: system-ui, sans-serif; color: var(--text); background: var(--page); }
a { color: var(--link); }
code { overflow-wrap: anywhere; }
</style>
</head>
<body>
<main>
<h1>milter-manager-exporter</h1>
<p>A Prometheus exporter that follows milter-manager&rsquo;s log.</p>
<ul>
<li><a href="$metrics">Metrics</a></li>
<li><a href="./-/ready">Ready</a>: has the log been read up to now?</li>
<li><a href="./-/healthy">Healthy</a>: is the exporter running?</li>
</ul>
<h2>Input</h2>
$inputs
</main>
<footer><p>Version $version</p></footer>
</body>
</html>
""")


def render_page(version: str, telemetry_path: str, inputs: Sequence[str]) -> bytes:
    """
    Fill in the page; links are relative, so that it works below a reverse proxy's prefix.
    """
    return _PAGE.substitute(
        metrics=escape(f".{telemetry_path}"),
        inputs=_list(inputs),
        version=escape(version),
    ).encode("utf-8", errors="backslashreplace")


def _list(inputs: Sequence[str]) -> str:
    """
    List the inputs, or say that there are none yet.
    """
    if not inputs:
        return "<p>No log found yet; waiting for one.</p>"
    items = "\n".join(f"<li><code>{escape(name)}</code></li>" for name in inputs)
    return f"<ul>\n{items}\n</ul>"
