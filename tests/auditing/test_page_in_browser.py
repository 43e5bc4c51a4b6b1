"""The audit's page in a real browser."""

import pytest

from lnl.auditing.page import write_page
from tests.auditing.suspects import (
    ARROW,
    CLASSES,
    IN_VIEW,
    NASTY,
    ON_PAGE,
    SCRIPT,
    at,
    choose_label,
    click,
    decided,
    decisions,
    estimate,
    exported,
    filled,
    issues,
    keys,
    pictures,
    pictures_there,
    read_in,
    shown,
    text_of,
)
from tests.browser import choose, press, until, visit


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


def test_after_a_choice_by_mouse_keys_are_about_the_next_suspect(opened):
    """The list would take the letters, and a second key would replace the decision."""
    click(opened, 0, "keep")
    keys(opened, "c")
    assert decisions(opened)[:3] == decided(at0="keep", at1="change")[:3]
    assert at(opened) == "2"
    opened.execute_script("document.querySelectorAll('#sheet li')[2].querySelector('select').focus()")
    opened.execute_script(
        "const list = document.activeElement; list.value = list.options[1].value;"
        "for (const name of ['change', 'click']) list.dispatchEvent(new Event(name, { bubbles: true }))"  # as Chromium
    )
    assert at(opened) == "3"
    keys(opened, "u")
    assert decisions(opened)[:4] == decided(at0="keep", at1="change", at2="change", at3="unsure")[:4]


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


def test_an_import_says_what_it_cannot_use(opened, tmp_path):
    (tmp_path / "other.csv").write_text(
        "\ufeffindex,given_label,decision,label\r\n1,cat,keep,cat\r\n4,dog,keep,dog\r\n7,cat,keep,cat\r\n"
        f'999,cat,keep,cat\r\n10,"{CLASSES[2].replace(chr(34), chr(34) * 2)}",maybe,cat\r\n13,cat,change,horse\r\n',
        encoding="utf-8",
    )
    read_in(opened, tmp_path / "other.csv", "1 decision read; 5 skipped, about other data")
    assert decisions(opened) == decided(at0="keep")
    (tmp_path / "others.csv").write_text("index,given_label,decision,label,audited\n4,cat,keep,cat,data-ffffffffffff\n")
    read_in(opened, tmp_path / "others.csv", "0 decisions read; 1 skipped, about other data")
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
