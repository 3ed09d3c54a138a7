"""A real Chromium without a window, where the machine has one, and the local page in it."""

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
    """The page in the browser. `driver` is selenium's."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str, tab: str = "openai", wanted_s: float = WAIT_S) -> None:
        """Load it anew, and wait until it is drawn."""
        self.driver.get("about:blank")
        self.driver.get(f"{url}/#{tab}")
        self.wait(
            "document.querySelector('main').getAttribute('aria-busy') === 'false'"
            " && (window.Plotly || !document.getElementById('notice').hidden)",
            wanted_s,
        )

    def wait(self, condition: str, wanted_s: float = WAIT_S) -> Any:
        """Until a JavaScript expression is true; its value. Raises TimeoutException."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, wanted_s, poll_frequency=0.1).until(
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
        """Choose a value of a filter, or of the time range."""
        self.run(
            "const select = document.querySelector(`select[name=${arguments[0]}], select#${arguments[0]}`);"
            "select.value = arguments[1]; select.dispatchEvent(new Event('change'));",
            name,
            value,
        )

    def errors(self) -> list[str]:
        """What the console has to complain of since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@contextmanager
def chromium(
    language: str = "en", width: int = 1280, height: int = 900, dark: bool = False
) -> Iterator[Page]:
    """Skips the test where there is no Chromium or no selenium."""
    browser, driver_binary = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver_binary:
        pytest.skip(
            "no browser: Chromium is not installed (Debian: apt-get install chromium chromium-driver)"
        )
    webdriver = pytest.importorskip("selenium.webdriver", reason="no browser: selenium is not installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        own = (f"--user-data-dir={profile}", f"--lang={language}", f"--accept-lang={language}")
        for flag in (*FLAGS, *own):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(driver_binary)
        driver = webdriver.Chrome(options=options, service=service)
        try:
            metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
            yield Page(driver)
        finally:
            driver.quit()
