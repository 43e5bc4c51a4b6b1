"""The audit's page as a file, and in a real browser."""

import csv
import json
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lnl.auditing.page import payload, write_page
from lnl.auditing.pictures import Picture, data_uri
from tests.browser import choose, links, press, until, visit

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


def embedded_data(path):
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(), re.DOTALL).group(1))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("audit") / "index.html"
    write_page(path, issues(), pictures(ON_PAGE), CLASSES, estimate(), f"pets {NASTY}")
    return path


def test_names_are_text_and_nothing_is_fetched(page):
    text = page.read_text()
    assert SCRIPT not in text
    assert NASTY not in text
    assert text.count("</script>") == 2
    assert {link for link in links(text) if not link.startswith("#")} == {"data:,"}
    assert not [part for part in ("@import", "url(", "http:", "https:", "fetch(", "XMLHttp") if part in text]
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', text).group(1)
    assert policy.startswith("default-src &#39;none&#39;; img-src data:;")
    assert "unsafe" not in policy


def test_all_the_page_draws_is_in_it(page):
    data = embedded_data(page)
    assert data["classes"] == CLASSES
    assert data["index"] == [3 * i + 1 for i in range(ON_PAGE)]
    assert data["file"][:2] == [f"d/0{SCRIPT}.png", ""]
    assert [*zip(data["given"], data["suggested"], strict=True)] == PAIRS[:ON_PAGE]
    assert data["flagged"] == [True] * 8 + [False]
    text = page.read_text()
    assert "<b>About 10 of the 40 labels are wrong (25.0 %; 95 % interval 8 to 12).</b> Look at &lt;b&gt;ten" in text
    assert "precision" not in text.lower()


def test_the_matrix_and_the_list_of_pairs_count_the_same(page):
    text = page.read_text()
    cells = re.findall(r'data-share="\S+"><button type="button" value="(\S+?)"[^>]*>(\d+)<', text)
    listed = re.findall(r'<option value="(\d,\d)">[^<]* \((\d+)\)</option>', text)
    counts = Counter(f"{given},{suggested}" for given, suggested in PAIRS[:ON_PAGE])
    assert dict(cells) == dict(listed) == {pair: str(count) for pair, count in counts.items()}
    assert len(cells) == len(listed)
    assert "cat →  a, &#34;dog&#34;\nor two : 1 on this page, 1 of them flagged" in text


def test_an_audit_that_cannot_tell_says_so(tmp_path):
    unknown = estimate(can_tell=False, wrong=None, wrong_interval=[0, 1])
    write_page(tmp_path / "a.html", issues(), pictures(ON_PAGE), CLASSES, unknown, "pets")
    assert "<b>The audit cannot tell how many labels are wrong.</b> Look at" in (tmp_path / "a.html").read_text()


def test_quality_is_shown_where_the_truth_is_known(tmp_path):
    quality = {"average_precision": 0.91234, "cleanlab_average_precision": 0.9, "chance": 0.25}
    known = estimate(quality={**quality, "precision": 0.8, "recall": 0.7})
    write_page(tmp_path / "a.html", issues(), pictures(ON_PAGE), CLASSES, known, "pets")
    text = (tmp_path / "a.html").read_text()
    for value in ("0.912", "0.900", "0.250", "0.800", "0.700"):
        assert f"<dd>{value}</dd>" in text


def test_decisions_belong_to_the_suspects_and_not_to_their_scores():
    table, shown = issues(), pictures(ON_PAGE)

    def key(table):
        return payload(table, shown, CLASSES, estimate())["key"]

    assert key(table) == key(table.assign(score=0.1)) != key(table.assign(index=range(len(PAIRS))))


# ---- in a browser


@pytest.fixture
def opened(browser, page, tmp_path):
    """The page, without decisions of an earlier visit; what it exports goes to ``tmp_path``."""
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    browser.get(page.as_uri())
    browser.execute_script("localStorage.clear()")
    with visit(browser, page) as opened:
        filled(opened)
        yield opened


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


def test_names_are_shown_as_they_are(opened):
    assert text_of(opened, "h1") == f"pets {NASTY}"
    assert text_of(opened, "#sheet .rank span") == "#1 · 1.000"
    assert text_of(opened, "#sheet .file") == f"d/0{SCRIPT}.png"
    assert text_of(opened, "#sheet li:nth-child(2) .file") == "sample 4"
    assert text_of(opened, "#sheet li:nth-child(3) .label b") == NASTY
    assert opened.execute_script("return document.querySelectorAll('#content script, img[src=x]').length") == 0
    assert opened.execute_script("return document.querySelector('#sheet img').naturalWidth") == 8


def test_flagged_suspects_are_marked(opened):
    marks = opened.find_elements("css selector", "#sheet .flag")
    assert [mark.is_displayed() for mark in marks] == [True] * 8 + [False]
    labels = [card.get_attribute("aria-label") for card in opened.find_elements("css selector", "#sheet li")]
    assert [", flagged, " in label for label in labels] == [True] * 8 + [False]


def test_nothing_but_the_pages_own_script_runs(opened):
    opened.execute_script(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))"
    )
    assert opened.execute_script("return window.ran") is None
    assert "Content Security Policy" in opened.get_log("browser")[0]["message"]


def test_clicks_decide_and_undo_takes_back(opened):
    click(opened, 0, "keep")
    click(opened, 2, "change")
    click(opened, 3, "unsure")
    assert decisions(opened) == decided(at0="keep", at2="change", at3="unsure")
    assert text_of(opened, "#counts") == "3 of 9: 1 keep, 1 change, 1 unsure"
    assert opened.find_element("css selector", "#progress").get_property("value") == 3
    click(opened, 0, "keep")  # once more takes it back, and that can be undone too
    assert decisions(opened) == decided(at2="change", at3="unsure")
    press(opened, "#undo")
    press(opened, "#undo")
    assert decisions(opened) == decided(at0="keep", at2="change")
    keys(opened, "z", "\ue009z")
    assert decisions(opened) == decided()
    assert not opened.find_element("css selector", "#undo").is_enabled()


def test_keys_decide_and_go_on(opened):
    keys(opened, "k")  # nothing may be in sight yet: the first press goes to the first suspect
    assert at(opened) == "0"
    columns = opened.execute_script(
        "return getComputedStyle(document.getElementById('sheet')).gridTemplateColumns.split(' ').length"
    )
    keys(opened, "k", "c", ARROW["ArrowRight"], "u")
    assert decisions(opened)[:4] == decided(at0="keep", at1="change", at3="unsure")[:4]
    assert at(opened) == "4"
    keys(opened, "\ue011")  # home
    keys(opened, ARROW["ArrowDown"])
    assert at(opened) == str(columns)
    keys(opened, ARROW["ArrowLeft"])
    assert at(opened) == str(columns - 1)
    assert opened.execute_script("return document.querySelectorAll('#sheet [tabindex=\"0\"]').length") == 6


def test_filters_show_pairs_and_decisions(opened):
    click(opened, 0, "keep")
    choose(opened, "pair", "0,1")
    assert shown(opened) == [0, 1]
    choose(opened, "state", "undecided")
    assert shown(opened) == [1]
    click(opened, 1, "change")
    assert shown(opened) == []
    assert opened.find_element("css selector", "#empty").is_displayed()
    keys(opened, "z")
    assert shown(opened) == [1]
    choose(opened, "pair", "")
    assert shown(opened) == list(range(1, ON_PAGE))
    choose(opened, "state", "keep")
    assert shown(opened) == [0]


def test_a_decided_suspect_leaves_its_filter_and_the_next_one_follows(opened):
    choose(opened, "state", "undecided")
    keys(opened, "k", "k", "c")
    assert shown(opened) == list(range(2, ON_PAGE))
    assert at(opened) == "2"


def test_the_matrix_filters(opened):
    opened.execute_script("document.getElementById('confusions').open = true")
    cell = "#matrix button[value='1,2']"
    press(opened, cell)
    assert shown(opened) == [2, 6]
    assert opened.find_element("css selector", cell).get_attribute("aria-pressed") == "true"
    assert opened.find_element("css selector", "#pair").get_property("value") == "1,2"
    assert at(opened) == "2"  # the first picture has the focus, and is in view
    assert opened.execute_script(IN_VIEW)
    opened.execute_script("document.querySelector(arguments[0]).focus()", cell)
    keys(opened, ARROW["ArrowDown"])  # no one of row 2 is in this column, nor of row 3
    keys(opened, "\ue013")
    assert opened.switch_to.active_element.get_property("value") == "0,2"
    press(opened, cell)
    assert shown(opened) == list(range(ON_PAGE))


def test_decisions_are_there_after_a_reload(opened):
    click(opened, 0, "keep")
    choose_label(opened, 2, 3)
    opened.refresh()
    filled(opened)
    assert decisions(opened) == decided(at0="keep", at2="change")
    assert opened.execute_script("return document.querySelectorAll('#sheet select')[2].value") == "3"
    assert text_of(opened, "#counts").startswith("2 of 9: ")


def choose_label(browser, place, label):
    """In the list of a card."""
    script = """
        const select = document.querySelectorAll("#sheet select")[arguments[0]];
        select.value = arguments[1];
        select.dispatchEvent(new Event("change", { bubbles: true }));
    """
    browser.execute_script(script, place, label)


def test_the_export_is_read_back_as_it_was_shown_and_imported_again(opened, tmp_path):
    click(opened, 0, "keep")
    click(opened, 1, "unsure")
    click(opened, 2, "change")
    choose_label(opened, 3, 1)
    rows = exported(opened, tmp_path)
    columns = ["index", "file", "given_label", "suggested_label", "decision", "label", "audited"]
    here = "data-0123456789ab"
    cat, nasty, dog, _ = CLASSES
    assert [[row[name] for name in columns] for row in rows] == [
        ["1", f"d/0{SCRIPT}.png", cat, nasty, "keep", cat, here],
        ["4", "", cat, nasty, "unsure", cat, here],
        ["7", f"d/2{SCRIPT}.png", nasty, dog, "change", dog, here],
        ["10", f"d/3{SCRIPT}.png", dog, cat, "change", nasty, here],
    ]
    assert list(rows[0]) == columns
    before = decisions(opened)
    keys(opened, *"zzzz")
    assert decisions(opened) == decided()
    read_in(opened, tmp_path / "decisions.csv", "4 decisions read")
    assert decisions(opened) == before
    assert opened.execute_script("return document.querySelectorAll('#sheet select')[3].value") == "1"
    keys(opened, "z")  # a file is one step
    assert decisions(opened) == decided()


def read_in(browser, path, said):
    browser.find_element("css selector", "#file").send_keys(str(path))
    until(lambda: text_of(browser, "#message").startswith(said))


def test_an_import_says_what_it_cannot_use(opened, tmp_path):
    (tmp_path / "other.csv").write_text(
        "\ufeffindex,given_label,decision,label\r\n1,cat,keep,cat\r\n4,dog,keep,dog\r\n7,cat,keep,cat\r\n"
        f'999,cat,keep,cat\r\n10,"{CLASSES[2].replace(chr(34), chr(34) * 2)}",maybe,cat\r\n13,cat,change,horse\r\n',
        encoding="utf-8",
    )
    read_in(opened, tmp_path / "other.csv", "1 decisions read; 5 rows are about other samples")
    assert decisions(opened) == decided(at0="keep")
    (tmp_path / "others.csv").write_text("index,given_label,decision,label,audited\n4,cat,keep,cat,data-ffffffffffff\n")
    read_in(opened, tmp_path / "others.csv", "0 decisions read; 1 rows are about other samples")
    assert decisions(opened) == decided(at0="keep")
    (tmp_path / "strange.csv").write_text("a;b\n1;2\n")
    read_in(opened, tmp_path / "strange.csv", "strange.csv cannot be read: it has no column index, given_label")
    (tmp_path / "broken.csv").write_text('index,given_label,decision,label\n1,"cat,keep')
    read_in(opened, tmp_path / "broken.csv", "broken.csv cannot be read: it is not a CSV")
    assert decisions(opened) == decided(at0="keep")


def test_a_browser_that_keeps_nothing_is_said_so(opened, page):
    refusal = (
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError') } })"
    )
    assert not opened.find_element("css selector", "#refused").is_displayed()
    script = opened.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": refusal})
    try:
        opened.get(page.as_uri())
        filled(opened)
        assert opened.find_element("css selector", "#refused").is_displayed()
        click(opened, 0, "change")
        assert decisions(opened) == decided(at0="change")
    finally:
        opened.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_no_suspects_are_said_so(browser, tmp_path):
    nothing = issues().assign(issue=False)
    write_page(tmp_path / "a.html", nothing, pictures(0), CLASSES, estimate(issues=0), "pets")
    with visit(browser, tmp_path / "a.html") as opened:
        assert opened.find_element("css selector", "#none").text.startswith("No label is suspected")
        assert opened.execute_script("return document.querySelectorAll('#sheet, #bar, .controls').length") == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_a_hundred_classes_are_no_wider_than_the_window(browser, tmp_path, width, theme):
    classes = [f"a class with a long name {i}" for i in range(120)]
    pairs = [(i % 120, (i * 7 + 1) % 120) for i in range(300)]
    pairs = [pair for pair in pairs if pair[0] != pair[1]]
    table = issues(pairs, classes).assign(issue=True)
    write_page(tmp_path / "a.html", table, pictures(200), classes, estimate(), "many " * 20)
    with visit(browser, tmp_path / "a.html") as opened:
        size = {"width": width, "height": 812, "deviceScaleFactor": 1, "mobile": width < 500}
        opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        choose(opened, "theme", theme)
        whole = opened.execute_script("return document.documentElement.scrollWidth")
        assert whole <= width
        assert opened.execute_script("return document.querySelectorAll('#matrix tbody tr').length") == 100
        until(lambda: 0 < pictures_there(opened) < 200)
        keys(opened, "k", "\ue010")  # to the last one, which had nothing in it yet
        assert at(opened) == "199"
        until(lambda: opened.switch_to.active_element.find_elements("css selector", "img"))
        background = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}[theme]
