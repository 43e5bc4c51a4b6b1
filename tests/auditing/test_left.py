"""How many wrong labels are left, as the audit's page works it out from decisions."""

from importlib.resources import files

import numpy as np
import pytest
from scipy.stats import binomtest

LEFT = (files("lnl.auditing") / "assets/left.js").read_text(encoding="utf-8")
LETTERS = {"keep": "k", "change": "c", "unsure": "u", "": " "}


@pytest.fixture
def left(browser):
    """``wrongLeft`` of many pages at once: of decisions as letters, and the number of samples."""
    browser.get("about:blank")

    def answers(pages):
        script = (
            LEFT
            + """
            const kinds = { k: "keep", c: "change", u: "unsure", " ": "" };
            return arguments[0].map(([letters, samples]) => wrongLeft([...letters].map((one) => kinds[one]), samples));
        """
        )
        return browser.execute_script(script, pages)

    return answers


def text(browser, letters, samples, unsure=0):
    script = (
        LEFT
        + """
        const kinds = { k: "keep", c: "change", u: "unsure", " ": "" };
        return leftText(wrongLeft([...arguments[0]].map((one) => kinds[one]), arguments[1]), arguments[2], String);
    """
    )
    return browser.execute_script(script, letters, samples, unsure)


def test_the_upper_end_is_wilsons(browser):
    for wrong, trials in [(0, 10), (1, 10), (5, 37), (37, 37)]:
        high = binomtest(wrong, trials).proportion_ci(method="wilson").high
        assert browser.execute_script(f"{LEFT} return upper({wrong}, {trials})") == pytest.approx(high, abs=1e-4)


def test_a_share_that_does_not_fall_goes_on(left):
    # 30 looked at in order, 3 of each 10 wrong: 3.5 / 11 of the 70 others are likely to be, by the pseudo-count.
    (answer,) = left([["ckkckkckkk" * 3 + " " * 70, 100]])
    assert (answer["unseen"], answer["last"], answer["lastWrong"]) == (70, 10, 3)
    assert answer["likely"] == round(70 * 3.5 / 11)
    assert answer["most"] == np.ceil(70 * binomtest(3, 10).proportion_ci(method="wilson").high)
    assert (answer["next"], answer["nextWrong"]) == (20, round(20 * 3.5 / 11))


def test_a_share_that_falls_falls_on(left):
    # 7 of 10, 3 of 10 and 1 of 10 are wrong: from the first third to the last in two equal steps.
    (answer,) = left([["ccccccckkk" + "ccckkkkkkk" + "ckkkkkkkkk" + " " * 70, 100]])
    last, fall = 1.5 / 11, (1.5 / 7.5) ** 0.5
    assert answer["likely"] == round(sum(last * fall ** (0.5 + (k + 0.5) / 10) for k in range(70)))
    assert answer["nextWrong"] == round(sum(last * fall ** (0.5 + (k + 0.5) / 10) for k in range(20)))


def test_labels_that_are_not_on_the_page_count(left):
    few, many = left([["k" * 30 + " " * 70, 100], ["k" * 30 + " " * 70, 10_100]])
    assert (few["unseen"], many["unseen"]) == (70, 10_070)
    assert many["most"] == pytest.approx(few["most"] * 10_070 / 70, abs=200)


def test_an_unsure_decision_may_be_wrong_and_is_not_likely_to_be(left):
    plain, unsure = left([["k" * 30 + " " * 70, 100], ["k" * 25 + "uuuuu" + " " * 70, 100]])
    assert unsure["most"] > 2 * plain["most"]
    assert unsure["likely"] <= plain["likely"] + 5


def test_decisions_beyond_the_front_say_nothing_of_it(left):
    """Those on one pair, say."""
    plain, pair = left([["c" * 10 + "k" * 20 + " " * 70, 100], ["c" * 10 + "k" * 20 + "    c" * 14, 100]])
    assert (plain["seen"], pair["seen"]) == (30, 30)
    assert (plain["unseen"], pair["unseen"]) == (70, 56)
    assert pair["most"] == pytest.approx(plain["most"] * 56 / 70, abs=1)


def test_what_is_said(browser):
    assert text(browser, "k" * 10 + " " * 90, 100) == [
        "It is too early to tell: decide the first 20 pictures in order of rank (10 so far).",
        "",
    ]
    early = text(browser, "c" * 30 + " " * 970, 1000)
    assert early[0] == (
        "It is too early to tell how many wrong labels are left: 10 of the last 10 were wrong. "
        "The next 20 pictures will likely show you 19."
    )
    done = text(browser, "k" * 99 + "u" + " " * 60, 160, unsure=1)
    most = int(np.ceil(60 * binomtest(1, 33).proportion_ci(method="wilson").high))
    assert done == [
        f"About 1 wrong label is likely left (95 % interval 0 to {most}) among the 60 pictures that you have not "
        "looked at. The next 20 pictures will likely show you none. The 1 that you are unsure of is not counted.",
        f"about 1 left (0 to {most})",
    ]
    assert text(browser, "k" * 60 + " ", 61)[0] == (
        "No wrong labels are likely left (95 % interval 0 to 1) in the one picture that you have not looked at. "
        "The next picture will likely show you none."
    )
    assert text(browser, "k" * 30, 30) == ["You have looked at every picture.", ""]


# Share of wrong labels, by how many spreads they rank higher, and the share of them that ranks like right labels.
RANKINGS = {
    "usual": (0.1, 2, 0),
    "good": (0.05, 3, 0),
    "poor": (0.1, 0.5, 0),
    "useless": (0.2, 0, 0),
    "blind to a third": (0.1, 2.5, 0.33),
    "hardly any wrong": (0.01, 2, 0),
}


def ranking(rng, size, rate, distance, missed):
    wrong = rng.random(size) < rate
    found = wrong & (rng.random(size) >= missed)
    return wrong[np.argsort(-(rng.normal(size=size) + distance * found))]


def careless(rng, letters):
    """Decisions of which some are unsure or left out, and others were made further down."""
    letters = np.where(rng.random(len(letters)) < 0.04, "u", letters)
    return np.where(rng.random(len(letters)) < 0.04, " ", letters)


@pytest.mark.parametrize("kind", RANKINGS)
@pytest.mark.parametrize("size", [250, 2000])
@pytest.mark.parametrize("carefully", [True, False])
def test_the_interval_covers_the_truth(left, kind, size, carefully):
    rng, shown = np.random.default_rng(0), min(size, 500)
    pages, truths = [], []
    for looked in (25, 60, 150) if size == 250 else (60, 150, 400):
        for _ in range(100):
            wrong = ranking(rng, size, *RANKINGS[kind])
            letters = np.where(wrong[:shown], "c", "k")
            letters = letters if carefully else careless(rng, letters)
            letters[looked:] = " "
            pages.append(["".join(letters), size])
            hidden = np.concatenate([letters == " ", np.ones(size - shown, bool)])
            truths.append((wrong[hidden].sum(), wrong[looked : looked + 20].sum()))
    answers = [(answer, truth) for answer, truth in zip(left(pages), truths, strict=True) if "most" in answer]
    missed_by = np.mean([answer["nextWrong"] - found for answer, (_, found) in answers])
    told = [truth <= answer["most"] for answer, (truth, _) in answers if not answer["early"]]
    print(f"{kind}, {size}, {carefully}: {len(told)} told, {np.mean(told):.1%} covered, next 20 {missed_by:+.2f}")
    assert len(told) >= 100
    assert np.mean(told) >= 0.97
    assert abs(missed_by) < 1
