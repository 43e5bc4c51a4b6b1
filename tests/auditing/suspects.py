"""An audit's page of nine suspects with nasty names, and what a user sees and does on it."""

import csv
import json
import re

import numpy as np
import pandas as pd
from PIL import Image

from lnl.auditing.pictures import Picture, data_uri
from tests.browser import press, until

SCRIPT = "<script>alert(1)</script>"
NASTY = "</script><img src=x onerror=alert(1)>"
CLASSES = ["cat", NASTY, ' a, "dog"\nor two ', "=1+1"]
# Given and suggested class of 10 rows, the worst first; the last two are not flagged, and the last is not on the page.
PAIRS = [(0, 1), (0, 1), (1, 2), (2, 0), (0, 2), (3, 0), (1, 2), (2, 3), (3, 1), (0, 1)]
ON_PAGE, FLAGGED = 9, 8
# Whether the picture of the card with the focus is in the window.
IN_VIEW = """
    const { top, bottom } = document.activeElement.querySelector("img").getBoundingClientRect();
    return document.getElementById("bar").getBoundingClientRect().bottom <= top && bottom <= innerHeight;
"""
ARROW = {"ArrowRight": "\ue014", "ArrowLeft": "\ue012", "ArrowDown": "\ue015"}


def estimate(**others):
    told = {
        "can_tell": True,
        "wrong": 0.25,
        "wrong_interval": [0.2, 0.31],
        "advice": ["Look at <b>ten</b>.", "Not more."],
    }
    return {"audited": "data-0123456789ab", "samples": 40, "issues": FLAGGED, **told, **others}


def issues(pairs=PAIRS, classes=CLASSES):
    return pd.DataFrame(
        {
            "rank": range(1, len(pairs) + 1),
            "index": [3 * i + 1 for i in range(len(pairs))],
            "file": [None if i == 1 else f"d/{i}{SCRIPT}.png" for i in range(len(pairs))],
            "given_label": [classes[given] for given, _ in pairs],
            "suggested_label": [classes[suggested] for _, suggested in pairs],
            "score": np.linspace(1, 0.5, len(pairs)),
            "issue": [i < FLAGGED for i in range(len(pairs))],
        }
    )


def pictures(count):
    pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return [Picture(data_uri(Image.fromarray(picture)), tiny=True) for picture in pixels]


def filled(browser):
    """Waits until the cards have their content, which comes when they are near the window."""
    until(lambda: pictures_there(browser) == ON_PAGE)


def pictures_there(browser):
    return browser.execute_script("return document.querySelectorAll('#sheet img').length")


def decisions(browser):
    """Of each card what it shows: keep, change, unsure or nothing."""
    return browser.execute_script(
        "return [...document.querySelectorAll('#sheet li')].map((e) => e.dataset.decision ?? '')"
    )


def decided(**places):
    return [places.get(f"at{i}", "") for i in range(ON_PAGE)]


def shown(browser):
    """Which cards pass the filter."""
    return browser.execute_script(
        "return [...document.querySelectorAll('#sheet li:not([hidden])')].map((e) => +e.dataset.place)"
    )


def text_of(browser, selector):
    return browser.execute_script("return document.querySelector(arguments[0]).textContent", selector)


def keys(browser, *pressed):
    for key in pressed:
        browser.switch_to.active_element.send_keys(key)


def at(browser):
    return browser.execute_script("return document.activeElement.dataset.place")


def click(browser, place, kind):
    press(browser, f"#sheet li[data-place='{place}'] button[value='{kind}']")


def exported(browser, folder):
    press(browser, "#export")
    path = folder / "decisions.csv"
    until(path.exists)
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def choose_label(browser, place, label):
    """In the list of a card."""
    script = """
        const select = document.querySelectorAll("#sheet select")[arguments[0]];
        select.value = arguments[1];
        select.dispatchEvent(new Event("change", { bubbles: true }));
    """
    browser.execute_script(script, place, label)


def read_in(browser, path, said):
    browser.find_element("css selector", "#file").send_keys(str(path))
    until(lambda: text_of(browser, "#message").startswith(said))


def embedded_data(path):
    """What the scripts of a page draw."""
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(), re.DOTALL).group(1))
