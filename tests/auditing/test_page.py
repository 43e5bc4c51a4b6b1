"""The audit's page as a file."""

import re
from collections import Counter
from hashlib import sha256

from lnl.auditing.page import payload, write_page
from lnl.auditing.pictures import Picture
from tests.auditing.suspects import CLASSES, NASTY, ON_PAGE, PAIRS, SCRIPT, embedded_data, estimate, issues, pictures
from tests.browser import links


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
    unknown = estimate(can_tell=False, wrong=None, wrong_interval=[0, 0.6])
    write_page(tmp_path / "a.html", issues(), pictures(ON_PAGE), CLASSES, unknown, "pets")
    assert (
        "<b>The audit cannot tell how many of the 40 labels are wrong: at most 24.</b> Look at"
        in (tmp_path / "a.html").read_text()
    )


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


def test_decisions_that_a_browser_keeps_from_an_earlier_version_are_found():
    """Their key depends on the suspects only, and its form stays."""
    table = issues([(0, 1)], ["cat", "dog"])
    key = payload(table, pictures(1), ["cat", "dog"], estimate())["key"]
    shown = f'"index": [1], "file": ["d/0{SCRIPT}.png"], "given": [0], "suggested": [1]'
    assert key == "lnl-audit-" + sha256(f'{{"classes": ["cat", "dog"], {shown}}}'.encode()).hexdigest()[:16]


def test_only_tiny_pictures_are_small_on_the_screen():
    tiny, large, fault = Picture("data:a", tiny=True), Picture("data:b"), Picture(fault="it is empty (0 bytes)")
    for shown, expected in (([tiny, fault, tiny], True), ([tiny, large], False), ([large], False), ([], False)):
        assert payload(issues(), shown, CLASSES, estimate())["tiny"] is expected
