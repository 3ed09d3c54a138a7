"""A real headless Chromium, if installed, showing the local page."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

WAIT_S = 60.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


class Page:
    """The page in the browser; `driver` is Selenium's."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def emulate(
        self, language: str = "en-US", width: int = 1280, height: int = 900, dark: bool = False
    ) -> None:
        """From the next `open()`, be the browser of another user, with nothing stored."""
        command = self.driver.execute_cdp_cmd
        command("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "local_storage"})
        agent = {"userAgent": self.run("return navigator.userAgent"), "acceptLanguage": language}
        command("Emulation.setUserAgentOverride", agent)
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        command("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        command("Emulation.setEmulatedMedia", {"features": [scheme]})

    def open(self, url: str, tab: str = "openai", timeout_s: float = WAIT_S) -> None:
        """Load the page and wait until it is drawn."""
        self.driver.get("about:blank")
        self.driver.get(f"{url}/#{tab}")
        self.wait(
            "document.querySelector('main').getAttribute('aria-busy') === 'false'"
            " && (window.Plotly || !document.getElementById('notice').hidden)",
            timeout_s,
        )

    def wait(self, condition: str, timeout_s: float = WAIT_S) -> Any:
        """Wait until a JavaScript expression is true and return its value. Raises TimeoutException."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, timeout_s, poll_frequency=0.1).until(
            lambda driver: driver.execute_script(f"return {condition}"), condition
        )

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        text: str = self.run("return document.querySelector(arguments[0]).innerText", selector)
        return text

    def texts(self, selector: str) -> list[str]:
        texts: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((each) => each.innerText)", selector
        )
        return texts

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)

    def choose(self, name: str, value: str) -> None:
        """Select a value of a filter, or the time range."""
        self.run(
            "const select = document.querySelector(`select[name=${arguments[0]}], select#${arguments[0]}`);"
            "select.value = arguments[1]; select.dispatchEvent(new Event('change'));",
            name,
            value,
        )

    def errors(self) -> list[str]:
        """The errors in the console since the previous call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@contextmanager
def chromium() -> Iterator[Page]:
    """One browser; a test sets its language and screen with `emulate()`.

    Skips the test if Chromium or Selenium is missing.
    """
    browser, driver_binary = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver_binary:
        pytest.skip(
            "no browser: Chromium is not installed (Debian: apt-get install chromium chromium-driver)"
        )
    webdriver = pytest.importorskip("selenium.webdriver", reason="no browser: selenium is not installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_binary))
        try:
            yield Page(driver)
        finally:
            driver.quit()
