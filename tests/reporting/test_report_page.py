"""The report's page in a real browser, opened from its file."""

import json

import pytest

from lnl.reporting.material import Options, gather
from lnl.reporting.page import write_page
from tests.browser import choose, links, press, visit
from tests.reporting.written import write_run

NASTY = "</script><img src=x onerror=alert(1)>"
CURVE = [{"val/loss": 2 - 0.1 * i, "train/accuracy": 0.1 * i, "train/accuracy_correct": 0.2 * i} for i in range(4)]
OPTIONS = {
    **dict.fromkeys(("name", "baseline", "against", "names")),
    "rows": ["method", "loss"],
    "columns": "rate",
    "metric": "test/accuracy",
    "protocol": ["last", "noisy_val_best"],
    "oracle": False,
    "tables": [],
    "figures": [],
    "page": True,
}


def write_study(root):
    """Three methods (one has an unkind name), two noise kinds, two rates, two seeds; mae lacks a rate."""
    for noise in ("symmetric", "asymmetric"):
        for i, loss in enumerate(("ce", "mae", NASTY)):
            for rate in (0.1, 0.4):
                for seed in (0, 1):
                    if (loss, rate) != ("mae", 0.4):
                        facts = {
                            "noise": noise,
                            "loss": loss,
                            "rate": rate,
                            "seed": seed,
                            "confusion": [[3, 1], [0, 4]],
                        }
                        config = {"seed": seed, "optimizer": {"lr": 0.1, "note": NASTY}, "noise": {"rate": rate}}
                        curve = [{**row, "train/memorised": 0.05 * j} for j, row in enumerate(CURVE)]
                        accuracy = (0.9, 0.7, 0.8)[i] - 0.1 * rate + 0.01 * seed
                        write_run(root / "outputs", "study", accuracy, config=config, curve=curve, **facts)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Where the page is."""
    root = tmp_path_factory.mktemp("page")
    write_study(root)
    options = Options(runs=str(root / "outputs/study"), output_dir=str(root / "reports"), **OPTIONS)
    write_page(gather(options), root / "index.html")
    return root / "index.html"


@pytest.fixture
def opened(browser, page):
    with visit(browser, page) as opened:
        yield opened


def column(browser, table, place):
    rows = "[...document.getElementById(arguments[0]).tBodies[0].rows].filter((row) => !row.hidden)"
    script = f"return {rows}.map((row) => row.cells[arguments[1]].innerText)"
    return [text.split("\n")[0] for text in browser.execute_script(script, table, place)]


def series(browser, figure, kind="line"):
    """The names of a figure's lines, once it is drawn."""
    return browser.execute_async_script(
        """
        const [id, kind, done] = arguments;
        const element = document.getElementById(id);
        element.scrollIntoView({ behavior: "instant" });
        const look = () => element.data || element.classList.contains("empty")
          ? done((element.data ?? []).filter((trace) => trace.meta === kind).map((trace) => trace.name ?? ""))
          : setTimeout(look, 20);
        // What comes into view, or is to change, has been drawn by then.
        requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(look)));
        """,
        figure,
        kind,
    )


def drawn(browser, figure):
    """How many lines there are in the figure's SVG, bands included."""
    return browser.execute_script(f"return document.querySelectorAll('#{figure} .scatterlayer .trace').length")


TABLE = "test-accuracy-cifar10-symmetric-noise-cnn-last"
ESCAPED = NASTY.replace("<", "&lt;").replace(">", "&gt;")


def test_a_table_sorts_by_any_column_and_keeps_what_is_missing_last(opened):
    header = f"#{TABLE} thead th:nth-child(3) button"
    assert column(opened, TABLE, 0) == ["ce", NASTY, "mae"]
    press(opened, header)
    assert column(opened, TABLE, 2) == ["86.5 ± 0.7", "76.5 ± 0.7", "–"]
    press(opened, header)
    assert column(opened, TABLE, 2) == ["76.5 ± 0.7", "86.5 ± 0.7", "–"]
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.ariaSort)"
    assert opened.execute_script(script, f"#{TABLE} thead th") == ["none", "none", "ascending"]
    press(opened, f"#{TABLE} thead th:first-child button")
    assert column(opened, TABLE, 0) == [NASTY, "ce", "mae"]


def test_the_runs_sort_as_numbers_and_show_their_configuration(opened):
    assert len(column(opened, "runs-table", 0)) == 20
    place = opened.execute_script(
        "return [...document.querySelectorAll('#runs-table th')].findIndex((e) => e.innerText.includes('last'))"
    )
    press(opened, f"#runs-table thead th:nth-child({place + 1}) button")
    shown = [float(text) for text in column(opened, "runs-table", place)]
    assert shown == sorted(shown, reverse=True)
    press(opened, "#runs-table tbody tr:first-child button")
    dialog = opened.find_element("css selector", "dialog[open]").text
    for text in ("study/run-", "optimizer.lr", "noise.rate", NASTY):
        assert text in dialog
    link = opened.execute_script("return document.querySelector('#runs-table a').href")
    assert "/outputs/study/run-" in link


def test_a_figure_has_a_line_for_each_method_that_is_not_hidden(opened):
    assert series(opened, "against") == ["ce", ESCAPED, "mae"]
    assert drawn(opened, "against") == 6  # each with its band
    press(opened, "#legend button:first-child")
    assert series(opened, "against") == [ESCAPED, "mae"]
    assert drawn(opened, "against") == 4
    assert opened.find_element("css selector", "#legend button:first-child").get_attribute("aria-pressed") == "false"
    assert len(series(opened, "epochs-a")) == 1  # at rate 0.4, where mae has no run
    press(opened, "#legend button:first-child")
    assert len(series(opened, "against")) == 3


def test_metric_and_protocol_change_what_is_drawn(opened):
    def values():
        series(opened, "against")
        return opened.execute_script(
            "return document.getElementById('against').data.find((one) => one.name === 'ce').y"
        )

    assert values() == pytest.approx([89.5, 86.5])
    choose(opened, "protocol", "noisy_val_best")
    assert values() == pytest.approx([90.5, 87.5])
    choose(opened, "metric", "fit_seconds")
    assert values() == [10, 10]
    assert "training time" in opened.find_element("css selector", "#against-title").text


def test_the_filter_filters_figures_and_runs(opened):
    press(opened, "#filter-details summary")
    for name, value, runs in (("loss", "ce", 12), ("noise", "symmetric", 6), ("seed", "1", 3)):
        opened.find_element("css selector", f"#filters input[name='{name}'][value='{value}']").send_keys(" ")
        assert len(column(opened, "runs-table", 0)) == runs
        assert opened.find_element("css selector", "#filter-count").text == f"{runs} of 20 runs"
    assert series(opened, "against") == [ESCAPED, "mae"]
    assert drawn(opened, "against") == 2  # one seed has no band
    assert opened.find_element("css selector", "#setting").text.strip() == "cifar10, asymmetric noise, cnn"
    opened.find_element("css selector", "#filters input[name='data']").send_keys(" ")
    assert series(opened, "against") == []
    assert "No run has anything" in opened.find_element("css selector", "#against").text
    press(opened, "#filter-reset")
    assert len(column(opened, "runs-table", 0)) == 20
    assert len(series(opened, "against")) == 3


def test_of_some_seeds_each_run_is_drawn(browser, tmp_path):
    """The page computes no mean: that of all runs is shown while none of them is hidden."""
    for seed in range(3):
        write_run(tmp_path / "outputs", "study", 0.7 + 0.1 * seed**2, seed=seed, curve=CURVE)
    options = Options(runs=str(tmp_path / "outputs/study"), output_dir=str(tmp_path / "reports"), **OPTIONS)
    write_page(gather(options), tmp_path / "index.html")

    def values():
        assert series(browser, "against") == ["ce"]
        return browser.execute_script("return document.getElementById('against').data.at(-1).y")

    with visit(browser, tmp_path / "index.html"):
        assert values() == pytest.approx([100 * (0.7 + 0.8 + 1.1) / 3])
        press(browser, "#filter-details summary")
        browser.find_element("css selector", "#filters input[name='seed'][value='1']").send_keys(" ")
        assert sorted(value for value in values() if value is not None) == pytest.approx([70, 110])
        assert series(browser, "epochs-a") == ["ce"]
        assert browser.execute_script("return document.getElementById('epochs-a').data[0].x.length") == 9  # and a gap


def test_every_figure_is_drawn(opened):
    lines = {"epochs-a": 2, "epochs-b": 2, "memorisation": 4, "errors": 6}
    assert {figure: len(series(opened, figure)) for figure in lines} == lines
    assert len(series(opened, "time", "points")) == 2
    assert len(series(opened, "confusion", "heatmap")) == 1
    matrix = opened.execute_script("return document.getElementById('confusion').data[0].customdata")
    assert matrix == [[6, 2], [0, 8]]  # of two seeds
    assert series(opened, "transition", "heatmap") == []  # these runs left no noise.npz
    for figure in (*lines, "time", "confusion"):
        assert opened.execute_script(f"return document.getElementById('{figure}').ariaLabel").endswith("series")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(opened, width, theme):
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    choose(opened, "theme", theme)
    for figure in ("against", "memorisation", "time"):
        series(opened, figure, "points")
    press(opened, "#filter-details summary")
    inner, whole = opened.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
    assert inner == width
    assert whole <= width
    background = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}[theme]


def test_names_are_text_and_nothing_is_fetched(page):
    text = page.read_text().split('id="plotly"')[0]
    assert NASTY not in text
    assert text.count("</script>") == 1  # of the data
    others = {link for link in links(text) if not link.startswith("outputs/study/run-")}
    assert others == {"data:,", "#content", "#tables", "#figures", "#runs", "#overview"}
    assert not [part for part in ("@import", "url(", "http:", "https:") if part in text]


def test_data_is_read_back_as_it_was(page):
    text = page.read_text().split('id="data">')[1].split("</script>")[0]
    assert "<" not in text
    data = json.loads(text)
    assert data["series"] == ["ce", NASTY, "mae"]
    assert data["common"]["optimizer.note"] == NASTY
    accuracy = [*data["metrics"]].index("test/accuracy")
    run = next(run for run in data["runs"] if (run["loss"], run["rate"], run["seed"]) == ("ce", "0.1", "0"))
    assert run["metrics"]["last"][accuracy] == [89]
