"""
The landing page, read as a browser would.
"""

from html.parser import HTMLParser

from exporter.page import render_page

VOID = {"meta", "link"}


class Reader(HTMLParser):
    """
    Keeps links, text and tags, and checks that every element is closed in its turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str | None] = []
        self.text: list[str] = []
        self.tags: list[str] = []
        self.attributes: dict[str, dict[str, str | None]] = {}
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """
        Keep an element.
        """
        self.tags.append(tag)
        self.attributes[tag] = dict(attrs)
        if tag == "a":
            self.links.append(dict(attrs)["href"])
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """
        Close the innermost element.
        """
        assert tag == self._open.pop()

    def handle_data(self, data: str) -> None:
        """
        Keep text.
        """
        self.text.append(data)

    def close(self) -> None:
        """
        End the document.
        """
        super().close()
        assert [] == self._open


def read(page: bytes) -> Reader:
    """
    Parse a whole page.
    """
    reader = Reader()
    reader.feed(page.decode())
    reader.close()
    return reader


def test_links() -> None:
    """
    The page links metrics, readiness and health, relative to wherever it is served.
    """
    reader = read(render_page("0.1.0", "/a:b/metrics", []))

    assert ["./a:b/metrics", "./-/ready", "./-/healthy"] == reader.links


def test_document() -> None:
    """
    The page is an English HTML5 document that loads and runs nothing.
    """
    page = render_page("0.1.0", "/metrics", [])
    reader = read(page)

    assert page.startswith(b"<!DOCTYPE html>\n")
    assert {"lang": "en"} == reader.attributes["html"]
    assert {"rel": "icon", "href": "data:,"} == reader.attributes["link"]
    assert set() == {"script", "img", "iframe", "form"} & set(reader.tags)
    assert b"prefers-color-scheme: dark" in page


def test_content() -> None:
    """
    The page names its version and every input.
    """
    text = read(render_page("0.1.0", "/metrics", ["/var/log/mail.log", "/x.log"])).text

    assert {"/var/log/mail.log", "/x.log", "Version 0.1.0"} <= set(text)


def test_no_input() -> None:
    """
    Without an input the page says that it waits.
    """
    text = read(render_page("0.1.0", "/metrics", [])).text

    assert "No log found yet; waiting for one." in text


def test_hostile_values() -> None:
    """
    Whatever a value holds, it is shown as text.
    """
    hostile = "</code><script>alert(1)</script>&amp;\"'$version\udcff"
    reader = read(render_page(hostile, "/metrics", [hostile]))

    assert "script" not in reader.tags
    assert 2 == "".join(reader.text).count(hostile.replace("\udcff", "\\udcff"))


def test_hostile_path() -> None:
    """
    A path cannot leave its attribute.
    """
    reader = read(render_page("1", "/&'\"><b>", []))

    assert "./&'\"><b>" == reader.links[0]
    assert "b" not in reader.tags
