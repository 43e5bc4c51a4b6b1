"""The audit's page in a real browser: large pictures, linked ones, whole confusions at once, and what to type next."""

import shutil

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.keys import Keys

from lnl.auditing.page import write_page
from lnl.auditing.pictures import Picture, pictures_of
from lnl.datasets.pictures import Files
from lnl.datasets.source import Dataset
from lnl.labels import Labels
from tests.auditing.suspects import (
    CLASSES,
    ON_PAGE,
    at,
    click,
    decided,
    decisions,
    estimate,
    exported,
    issues,
    keys,
    pictures,
    shown,
    text_of,
)
from tests.browser import choose, press, until, visit

SIDES = {"width": 700, "height": 500}  # of a photo


def is_open(browser):
    return browser.find_element("css selector", "#viewer").is_displayed()


def whole(browser):
    """Width and height of the picture in the viewer, in its own pixels."""
    return browser.execute_script("const { naturalWidth, naturalHeight } = whole; return [naturalWidth, naturalHeight]")


def test_a_picture_is_shown_large_and_keys_decide_there(opened):
    press(opened, "#sheet li[data-place='1'] .look")
    assert is_open(opened)
    assert text_of(opened, "#caption").startswith("cat → ")
    assert ", rank 2, flagged · sample 4" in text_of(opened, "#caption")
    keys(opened, "c", "k", Keys.ARROW_RIGHT, "u", Keys.ARROW_LEFT)
    assert decisions(opened) == decided(at1="change", at2="keep", at4="unsure")
    assert ", rank 5, flagged" in text_of(opened, "#caption")
    assert text_of(opened, "#decision") == "unsure"
    keys(opened, "z")
    assert decisions(opened) == decided(at1="change", at2="keep")
    assert text_of(opened, "#decision") == "undecided"
    press(opened, "#viewer button[value='keep']")
    press(opened, "#viewer button[value='keep']")  # once more takes it back
    press(opened, "#viewer button[data-step='-1']")
    assert ", rank 4, flagged" in text_of(opened, "#caption")
    keys(opened, Keys.ESCAPE)
    assert not is_open(opened)
    assert at(opened) == "3"
    keys(opened, Keys.ENTER)
    assert is_open(opened)
    press(opened, "#viewer button[value='close']")
    assert not is_open(opened)
    assert decisions(opened) == decided(at1="change", at2="keep")


def test_the_viewer_goes_through_the_pictures_that_the_filter_shows(opened):
    choose(opened, "pair", "1,2")
    press(opened, "#sheet li[data-place='2'] .look")
    keys(opened, "c")
    assert ", rank 7, flagged" in text_of(opened, "#caption")
    keys(opened, Keys.ARROW_RIGHT)
    assert ", rank 7, flagged" in text_of(opened, "#caption")


def test_tiny_pictures_keep_their_pixels_on_the_screen(opened):
    style = "return getComputedStyle(document.querySelector(arguments[0])).imageRendering"
    until(lambda: opened.execute_script(style, "#sheet img") == "pixelated")
    press(opened, "#sheet .look")
    until(lambda: opened.execute_script(style, "#whole") == "pixelated")
    assert whole(opened) == [8, 8]


@pytest.fixture
def photos(tmp_path):
    """A page of nine photos, three of them embedded, beside the folder of the photos."""
    (tmp_path / "photos").mkdir()
    names = [f"{place} a&b's #1%20.jpg" for place in range(ON_PAGE)]
    for place, name in enumerate(names):
        Image.new("RGB", tuple(SIDES.values()), (20 * place, 90, 90)).save(tmp_path / "photos" / name)
    images = np.zeros((ON_PAGE, 4, 4, 3), np.uint8)
    labels = np.zeros(ON_PAGE, np.int64)
    files = Files(tmp_path / "photos", names)
    dataset = Dataset(images, Labels.true(labels, CLASSES), images[:0], labels[:0], originals=files)
    folder = tmp_path / "audit"
    folder.mkdir()
    found = pictures_of(dataset, range(ON_PAGE), folder, 1)[:3] + pictures_of(dataset, range(3, ON_PAGE), folder, 0)
    return folder / "index.html", write_page(folder / "index.html", issues(), found, CLASSES, estimate(), "pets")


def loaded(browser):
    """Width of each picture on the page; 0 if it could not be read."""
    script = "return [...document.querySelectorAll('#sheet img')].map((one) => one.complete ? one.naturalWidth : -1)"
    return browser.execute_script(script)


def test_linked_pictures_are_read_from_their_files(browser, photos):
    page, said = photos
    assert said.endswith("MB; 6 of 9 pictures are links")
    with visit(browser, page) as opened:
        until(lambda: loaded(opened) == [512] * 3 + [SIDES["width"]] * 6)
        card = opened.find_element("css selector", "#sheet img").rect
        assert card["width"] >= 256
        assert card["height"] >= 256
        for place in (0, 5):  # the file itself, also where the page has a smaller one
            press(opened, f"#sheet li[data-place='{place}'] .look")
            until(lambda: whole(opened) == [*SIDES.values()])
            keys(opened, Keys.ESCAPE)
        about = text_of(opened, "#about")
        assert "6 further pictures are links to their files" in about
        assert "these 6 are missing" in about


def test_a_page_that_was_moved_shows_what_is_in_it_and_says_what_is_missing(browser, photos, tmp_path):
    (tmp_path / "else" / "where").mkdir(parents=True)
    moved = shutil.copy(photos[0], tmp_path / "else" / "where")
    browser.get(f"file://{moved}")
    until(lambda: len(browser.find_elements("css selector", "#sheet img")) == ON_PAGE)
    until(lambda: browser.execute_script("return document.querySelectorAll('.look[hidden]').length") == 6)
    faults = [fault.text for fault in browser.find_elements("css selector", "#sheet .fault")]
    assert faults[:3] == [""] * 3
    assert all(
        fault.startswith("This picture cannot be shown: there is no picture at ../photos/") for fault in faults[3:]
    )
    press(browser, "#sheet .look")
    until(lambda: whole(browser)[0] == 512)
    browser.get("about:blank")
    browser.get_log("browser")  # it complains of the missing files


def test_only_pages_with_links_may_read_files(photos, page):
    allowed = "img-src data: file: &#39;self&#39;;"
    assert allowed in photos[0].read_text()
    assert allowed not in page.read_text()


def test_a_picture_that_could_not_be_read_says_why(browser, tmp_path):
    some = [Picture(fault="it is <b>truncated</b>"), *pictures(ON_PAGE - 1)]
    write_page(tmp_path / "a.html", issues(), some, CLASSES, estimate(), "pets")
    with visit(browser, tmp_path / "a.html") as opened:
        until(lambda: bool(opened.find_elements("css selector", "#sheet .fault")))
        fault = opened.find_element("css selector", "#sheet .fault")
        assert fault.text == "This picture cannot be shown: it is <b>truncated</b>"
        click(opened, 0, "keep")
        assert decisions(opened)[0] == "keep"


def together(browser):
    return [
        button.text for button in browser.find_elements("css selector", "#together button") if button.is_displayed()
    ]


def test_the_pictures_of_a_confusion_are_decided_together(opened):
    assert together(opened) == []
    choose(opened, "pair", "1,2")
    dog = 'a, "dog" or two'
    assert together(opened)[0] == f"Change all 2 to {dog}"
    click(opened, 6, "keep")  # an exception
    assert together(opened)[0] == f"Change the other 1 to {dog}"
    press(opened, "#together [value='change']")
    assert decisions(opened) == decided(at2="change", at6="keep")
    assert text_of(opened, "#message").startswith("1 decided together: change to ")
    assert together(opened) == []
    press(opened, "#undo")
    press(opened, "#undo")
    assert decisions(opened) == decided()
    choose(opened, "pair", "0,1")
    assert together(opened)[1] == "Keep all 2 as cat"
    choose(opened, "state", "undecided")
    press(opened, "#together [value='keep']")
    assert decisions(opened) == decided(at0="keep", at1="keep")
    assert shown(opened) == []
    keys(opened, "z")  # one step
    assert decisions(opened) == decided()
    assert text_of(opened, "#message") == "Undone: 2 decisions"


def test_the_next_command_is_shown_after_an_export(browser, tmp_path, monkeypatch):
    folder = tmp_path / "My audit's (new)"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    write_page(folder / "index.html", issues(), pictures(ON_PAGE), CLASSES, estimate(), "pets")
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    with visit(browser, folder / "index.html") as opened:
        next_ = opened.find_element("css selector", "#next")
        assert not next_.is_displayed()
        assert not opened.find_element("css selector", "#export").is_enabled()
        click(opened, 0, "keep")
        exported(opened, tmp_path)
        assert next_.is_displayed()
        command = "lnl audit apply=decisions.csv 'output=My audit'\"'\"'s (new)'"
        assert text_of(opened, "#command") == command
        assert "decisions (1).csv" in next_.text
        press(opened, "#copy")
        until(lambda: text_of(opened, "#message").startswith("The command is "))
        click(opened, 1, "keep")  # the file is out of date
        assert not next_.is_displayed()


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (390, 844)])
def test_the_first_screen_shows_a_picture(browser, tmp_path, width, height):
    advice = ["Of these words there are as many as an estimate needs that says a lot. " * 2] * 3
    write_page(tmp_path / "a.html", issues(), pictures(ON_PAGE), CLASSES, estimate(advice=advice), "my photos")
    with visit(browser, tmp_path / "a.html") as opened:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        choose(opened, "side", "256")
        image = opened.find_element("css selector", "#sheet img").rect
        assert image["y"] + image["height"] <= height
        assert image["height"] == 256
        assert opened.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_answer_follows_the_decisions(browser, tmp_path):
    pairs = [(i % 2, 1 - i % 2) for i in range(60)]
    write_page(tmp_path / "a.html", issues(pairs), pictures(60), CLASSES, estimate(samples=100), "pets")
    with visit(browser, tmp_path / "a.html") as opened:
        assert text_of(opened, "#left").startswith("It is too early to tell: decide the first 20")
        keys(opened, "k", *"k" * 30)
        assert text_of(opened, "#left").startswith(
            "About 3 wrong labels are likely left (95 % interval 0 to 20) among the 70"
        )
        assert text_of(opened, "#short") == "about 3 left (0 to 20)"
        keys(opened, *"z" * 15)
        assert text_of(opened, "#left").endswith("(15 so far).")
