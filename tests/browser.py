"""
Chromium without a screen, for the tests of the landing page.

It is driven by WebDriver, and ended with the profile it was given.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from running import require
from selenium import webdriver

FLAGS = (
    "--headless",
    "--no-sandbox",  # root may not have it
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
LOCAL = ("data:", "chrome:")
"""What the browser finds in the page and in itself."""
SCRIPTS_OFF = {"profile.managed_default_content_settings.javascript": 2}


class Browser:
    """
    One browser with one page.
    """

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def show(self, url: str, *, language: str = "en", scheme: str = "light", width: int) -> None:
        """
        Load a page as somebody with this language, colour scheme and width would.
        """
        self.messages("performance")  # what was before is dropped
        self.messages("browser")
        for command, arguments in (
            ("Network.enable", {}),
            ("Network.setExtraHTTPHeaders", {"headers": {"Accept-Language": language}}),
            (
                "Emulation.setEmulatedMedia",
                {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
            ),
            (
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False},
            ),
        ):
            self.driver.execute_cdp_cmd(command, arguments)
        self.driver.get(url)

    def ask(self, expression: str) -> object:
        """
        Evaluate an expression in the page; the page's own policy does not bind the driver.
        """
        found: object = self.driver.execute_script(f"return {expression}")
        return found

    @property
    def text(self) -> str:
        """
        Give the text that can be seen.
        """
        return str(self.ask("document.body.innerText"))

    def complaints(self) -> list[str]:
        """
        Give what the console says: errors, and violations of the policy.
        """
        return self.messages("browser")

    def requests(self) -> list[str]:
        """
        Give the addresses that were asked for over the network since `show`.
        """
        events = [json.loads(message)["message"] for message in self.messages("performance")]
        urls = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith(LOCAL)]

    def messages(self, log: str) -> list[str]:
        """
        Give what a log of the browser has got since it was last asked.
        """
        entries: list[dict[str, str]] = self.driver.get_log(log)  # type: ignore[no-untyped-call]  # in Selenium
        return [entry["message"] for entry in entries]


@contextmanager
def browsing(directory: Path, *, scripts: bool = True) -> Iterator[Browser]:
    """
    Start a browser with a new profile below `directory`.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = require("chromium", "chromium")
    for flag in (*FLAGS, f"--user-data-dir={directory}"):
        options.add_argument(flag)
    if not scripts:
        options.add_experimental_option("prefs", SCRIPTS_OFF)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(require("chromedriver", "chromium-driver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
