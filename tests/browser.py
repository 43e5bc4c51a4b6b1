"""Pages in a real browser, opened from their file."""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import contextmanager
from html.parser import HTMLParser

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")


def started():
    """Chromium, with console messages kept; where there is none, the test is skipped, or fails if one is required."""
    if not (CHROMIUM and DRIVER):
        reason = "chromium and its chromedriver are not installed (apt-get install chromium chromium-driver)"
        if os.environ.get("LNL_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(60)
    return driver


@contextmanager
def visit(browser, page):
    """The page, opened anew; afterwards nothing was complained of, and nothing was asked of a network."""
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get(page.as_uri())
    browser.execute_script("window.alert = () => { throw new Error('a name became markup') }")
    yield browser
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    fetched = browser.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert [address for address in fetched if not address.startswith("file:")] == []


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Waits for what a page does in its own time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def press(browser, selector):
    """With the keyboard, once it is there."""
    until(lambda: bool(browser.find_elements("css selector", selector)))
    element = browser.find_element("css selector", selector)
    browser.execute_script("arguments[0].focus({ preventScroll: true })", element)
    element.send_keys("\ue007")


def choose(browser, select, value):
    script = """
        const select = document.getElementById(arguments[0]);
        select.value = arguments[1];
        select.dispatchEvent(new Event("change", { bubbles: true }));
    """
    browser.execute_script(script, select, value)


def links(text: str) -> list[str]:
    """What the elements of a page point to."""
    reader = Links()
    reader.feed(text)
    return reader.links


class Links(HTMLParser):
    """What the page's elements point to."""

    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("src", "href")]
