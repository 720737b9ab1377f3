"""
The landing page of the real exporter in a real browser: Chromium, without a screen.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, browsing
from running import Exporter

from exporter.negotiate import LANGUAGES
from exporter.wording import load_texts

HEAD = b"Nov 22 22:07:33 vm milter-manager[7]: "
NAMES = {
    "script": b"<script>document.title='hacked'</script>",
    "image": b'"><img src=x onerror="document.title=\'hacked\'">',
    "bidi": "evil\u202egnp.exe".encode(),
    "long": b"x" * 250,
    "longer": b"y" * 10_000,
}
HOSTILE_TAGS = b"[no][such-tag][" + b"t" * 70 + b"]"
LINES = (
    b"[statistics] [session][end][quit][pass][0.1](1)",
    b"[statistics] [session][end][quit][reject][0.1](2)",
    b"[statistics] [session][end][quit][temporary-failure][0.1](3)",
    b"[statistics] [session][disconnected][0.1](4)",
    HOSTILE_TAGS + b" <b>a stranger's text</b>",
    b"[no][<script>alert(1)</script>] text",
    *(b"[statistics] [milter][end][quit][pass][0.1](5): " + name for name in NAMES.values()),
    *(b"[1] [children][timeout][reading][body][accept] [1] " + name for name in NAMES.values()),
)


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """
    An exporter that has read a hostile log.
    """
    directory = tmp_path_factory.mktemp("exporter")
    path = directory / "mail.log"
    path.write_bytes(b"".join(HEAD + line + b"\n" for line in LINES))
    exporter = Exporter(directory, f"--input.file={path}", "--input.from=beginning")
    try:
        yield exporter.serve()
    finally:
        exporter.kill()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """
    A browser as people have it.
    """
    with browsing(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def url(exporter: Exporter, path: str = "/") -> str:
    """
    Give the address of a page.
    """
    return f"http://{exporter.host}:{exporter.port}{path}"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("light", 320), ("dark", 1280), ("dark", 320)]
)
def test_page(language: str, scheme: str, width: int, exporter: Exporter, browser: Browser) -> None:
    """
    In each language, scheme and width the page is whole, fits, and asks for nothing but itself.
    """
    browser.show(url(exporter), language=f"{language}-x, *;q=0.1", scheme=scheme, width=width)
    shade = browser.ask(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    )

    assert language == browser.ask("document.documentElement.lang")
    assert load_texts()["sessions"][language] in browser.text
    assert isinstance(shade, list)
    assert (scheme == "dark") == (sum(shade) < 3 * 128)
    assert 0 == browser.ask(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert [url(exporter)] == browser.requests()
    assert [] == browser.complaints()


@pytest.mark.parametrize("width", [1280, 320])
def test_nothing_is_cut_off(width: int, exporter: Exporter, browser: Browser) -> None:
    """
    No element sticks out of the window, or out of what holds it.
    """
    browser.show(url(exporter), width=width)
    browser.ask("document.querySelectorAll('summary').forEach(one => one.click())")

    assert browser.ask("document.querySelectorAll('details[open] li').length > 0")
    assert [] == browser.ask(
        "[...document.querySelectorAll('main *')].filter(one => !one.closest('thead, .hidden'))"
        ".filter(one =>"
        " one.getBoundingClientRect().right > innerWidth + 1"
        " || (one.scrollWidth > one.clientWidth + 1 && one.clientWidth"
        " && getComputedStyle(one).display != 'inline')).map(one => one.outerHTML.slice(0, 200))"
    )


def test_hostile_log(exporter: Exporter, browser: Browser) -> None:
    """
    What a log holds is shown as text: it runs nothing, turns nothing, and is bounded.
    """
    browser.show(url(exporter), width=1280)
    text = browser.text

    assert 0 == browser.ask("document.querySelectorAll('script, img, b').length")
    assert "hacked" not in str(browser.ask("document.title"))
    assert NAMES["script"].decode() in text
    assert NAMES["image"].decode() in text
    assert "evil\\u202egnp.exe" in text
    assert "x" * 200 + "…" in text
    assert "x" * 201 not in text
    assert "y" * 20 not in text  # a name that long is counted as "other"
    assert HOSTILE_TAGS.decode() in text
    assert "stranger" not in text
    assert "alert" not in text
    assert [] == browser.complaints()


def test_policy_is_in_force(exporter: Exporter, browser: Browser) -> None:
    """
    If markup got into the page all the same, the browser would not run or load it.
    """
    browser.show(url(exporter), width=1280)
    browser.ask(
        "document.body.insertAdjacentHTML('beforeend',"
        ' \'<img src="/x.png" onerror="document.title=1"><p id=p style="color: red">\')'
    )
    browser.ask("document.body.offsetHeight")

    assert "rgb(255, 0, 0)" != browser.ask("getComputedStyle(document.all.p).color")
    violations = [text for text in browser.complaints() if "Content Security Policy" in text]

    assert 3 == len(violations)  # the image, its handler, the colour


def test_style_is_used(exporter: Exporter, browser: Browser) -> None:
    """
    The hash in the policy is that of the style block: bars have the colours of their status.
    """
    browser.show(url(exporter), width=1280)
    colours = browser.ask(
        "['pass', 'reject', 'temporary-failure'].map(status =>"
        " getComputedStyle(document.querySelector('rect.' + status)).fill)"
    )

    assert isinstance(colours, list)
    assert 3 == len(set(colours) - {"rgb(0, 0, 0)"})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme: str, exporter: Exporter, browser: Browser) -> None:
    """
    All text stands out from what is behind it by 4.5 to 1 at least (WCAG 2.2, 1.4.3).
    """
    browser.show(url(exporter), scheme=scheme, width=1280)

    assert [] == browser.ask("""(() => {
        const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(
            c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
        ).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        const behind = one => {
            for (; one; one = one.parentElement) {
                const colour = numbers(getComputedStyle(one).backgroundColor);
                if (colour.length == 3 || colour[3] > 0) return colour;
            }
        };
        return [...document.querySelectorAll('body *')].filter(one =>
            [...one.childNodes].some(node => node.nodeType == 3 && node.data.trim())
        ).filter(one => {
            const [a, b] = [numbers(getComputedStyle(one).color), behind(one)].map(light);
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
        }).map(one => one.outerHTML.slice(0, 200));
    })()""")


def test_languages_are_linked(exporter: Exporter, browser: Browser) -> None:
    """
    A click changes the language, whatever the browser prefers.
    """
    browser.show(url(exporter), language="en", width=1280)
    browser.driver.find_element("css selector", "a[hreflang=ja]").click()

    assert "ja" == browser.ask("document.documentElement.lang")
    assert load_texts()["sessions"]["ja"] in browser.text


def test_without_scripts(
    exporter: Exporter, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """
    With JavaScript switched off the page is the same.
    """
    probe = tmp_path / "probe.html"
    probe.write_text("<title>off</title><script>document.title = 'on'</script>")
    with browsing(tmp_path_factory.mktemp("profile"), scripts=False) as browser:
        browser.driver.get(probe.as_uri())

        assert "off" == browser.driver.title

        browser.show(url(exporter), width=1280)
        shown = browser.driver.find_element("tag name", "main").text

    assert load_texts()["sessions"]["en"] in shown
    assert NAMES["script"].decode() in shown
