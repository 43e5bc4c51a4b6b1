"""The audit's page."""

import pytest

from lnl.auditing.page import write_page
from tests.auditing.suspects import CLASSES, NASTY, ON_PAGE, estimate, filled, issues, pictures
from tests.browser import visit


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("audit") / "index.html"
    write_page(path, issues(), pictures(ON_PAGE), CLASSES, estimate(), f"pets {NASTY}")
    return path


@pytest.fixture
def opened(browser, page, tmp_path):
    """The page, without decisions of an earlier visit; what it exports goes to ``tmp_path``."""
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    browser.get(page.as_uri())
    browser.execute_script("localStorage.clear()")
    with visit(browser, page) as opened:
        filled(opened)
        yield opened
