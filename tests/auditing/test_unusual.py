"""The unusual pictures on the audit's page: which it has, and what a user sees and does."""

import pandas as pd
import pytest
from selenium.webdriver.common.keys import Keys

from lnl.auditing import unusual
from lnl.auditing.page import payload, write_page
from lnl.auditing.pictures import Picture
from lnl.auditing.unusual import Unusual, on_page, samples_of, sections
from tests.auditing.suspects import (
    CLASSES,
    NASTY,
    ON_PAGE,
    SCRIPT,
    decided,
    decisions,
    estimate,
    issues,
    keys,
    pictures,
    text_of,
)
from tests.browser import press, until, visit

COLUMNS = ["kind", "score", "index", "file", "given_label", "of_index", "of_file", "of_label"]


def table():
    rows = [
        ("near_duplicate", 0.99, 4, "", NASTY, 1, f"d/0{SCRIPT}.png", "cat"),
        ("near_duplicate", 0.98, 50, "d/50.png", "cat", 1, f"d/0{SCRIPT}.png", "cat"),
        ("dark", 0.1, 1, f"d/0{SCRIPT}.png", "cat", None, "", ""),
        ("dark", 0.15, 60, "d/60.png", "cat", None, "", ""),
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"of_index": "Int64"})


def of_page(kinds, fault=60):
    shown = on_page(kinds)
    samples = samples_of(shown)
    drawn = dict(zip(samples, pictures(len(samples)), strict=True))
    if fault in drawn:
        drawn[fault] = Picture(fault="it is empty (0 bytes)")
    return Unusual(kinds, sections(kinds, shown, drawn))


@pytest.fixture
def there(browser, tmp_path):
    write_page(
        tmp_path / "index.html", issues(), pictures(ON_PAGE), CLASSES, estimate(), f"pets {NASTY}", of_page(table())
    )
    with visit(browser, tmp_path / "index.html") as opened:
        opened.execute_script("localStorage.clear()")
        yield opened


def test_a_section_has_the_first_rows_of_its_kind_and_each_picture_is_read_once(monkeypatch):
    monkeypatch.setattr(unusual, "MOST", 1)
    shown = on_page(table())
    assert samples_of(shown) == [4, 1]
    duplicates, dark = of_page(table()).sections
    assert (duplicates["title"], duplicates["total"], len(duplicates["rows"])) == ("Near-duplicates", 2, 1)
    (row,) = duplicates["rows"]
    assert [one["label"] for one in row["pictures"]] == ["cat", NASTY]  # the picture, and then its copy
    assert row["differs"]
    assert row["pictures"][1]["name"] == "sample 4"
    assert (dark["total"], len(dark["rows"]), len(dark["rows"][0]["pictures"])) == (2, 1, 1)
    assert not dark["rows"][0]["differs"]


def test_a_page_without_unusual_pictures_has_no_section(page):
    assert '<details id="unusual"' not in page.read_text()
    assert sections(None, on_page(None), {}) == sections(table()[:0], on_page(table()[:0]), {}) == []
    assert payload(issues(), pictures(2), CLASSES, estimate())["unusual"] == ["", ""]


def test_unusual_pictures_change_nothing_that_the_browser_keeps_decisions_by():
    with_them = payload(issues(), pictures(ON_PAGE), CLASSES, estimate(), of_page(table()))
    assert with_them["key"] == payload(issues(), pictures(ON_PAGE), CLASSES, estimate())["key"]
    assert with_them["unusual"][:3] == ["dark", "near-duplicate", ""]


def test_sections_show_pairs_and_names_as_they_are(there):
    assert "near-duplicates 2, dark 2" in text_of(there, "#unusual summary")
    assert there.find_elements("css selector", "#unusual li") == []  # nothing is drawn that nobody asked for
    press(there, "#unusual summary")
    until(lambda: len(there.find_elements("css selector", "#unusual li")) == 4)
    assert [title.text for title in there.find_elements("css selector", "#unusual h3")] == [
        "Near-duplicates (2)",
        "Dark (2)",
    ]
    rows = there.find_elements("css selector", "#unusual li")
    assert [len(row.find_elements("css selector", "figure")) for row in rows] == [2, 2, 1, 1]
    assert ["different labels" in row.text for row in rows] == [True, False, False, False]
    assert f"d/0{SCRIPT}.png" in rows[0].text
    assert NASTY in rows[0].text
    assert "it is empty (0 bytes)" in rows[3].text
    until(lambda: there.execute_script("return document.querySelector('#unusual img').naturalWidth") == 8)
    chips = there.find_elements("css selector", "#sheet .chip")
    assert [chip.text for chip in chips][:3] == ["dark", "near-duplicate", ""]
    assert ", dark, " in there.find_element("css selector", "#sheet li").get_attribute("aria-label")


def test_a_picture_is_enlarged_and_keys_decide_nothing_there(there):
    press(there, "#unusual summary")
    press(there, "#unusual li:nth-child(1) figure:nth-of-type(2) .look")
    until(lambda: there.execute_script("return document.getElementById('larger').open"))
    assert text_of(there, "#larger-caption") == f"sample 4 · {NASTY}"
    keys(there, "k", "c", "u", "z")
    assert decisions(there) == decided()
    keys(there, Keys.ESCAPE)
    assert not there.execute_script("return document.getElementById('larger').open")
    press(there, "#unusual li:nth-child(2) .look")
    press(there, "#larger button")
    assert not there.execute_script("return document.getElementById('larger').open")


def test_sections_fit_a_phone(there):
    there.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    press(there, "#unusual summary")
    until(lambda: len(there.find_elements("css selector", "#unusual li")) == 4)
    assert there.execute_script("return document.documentElement.scrollWidth") <= 360
    pair = there.find_elements("css selector", "#unusual li:first-child figure")
    assert pair[0].rect["y"] == pair[1].rect["y"]  # side by side
