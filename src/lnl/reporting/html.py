"""HTML pages that are one file, and need nothing else, not even a network."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

SHARED = "lnl.reporting"


def page_text(
    package: str, data: Any, *, scripts: Sequence[str] = ("page.js",), images: str = "data:", **values: Any
) -> str:
    """A page made of a package's ``assets/page.html``, ``page.css`` and ``scripts``, and of the assets of all pages.

    The scripts read ``data``, as JSON; the template reads ``values``. ``images`` says where pictures may come from, as
    a Content-Security-Policy does.
    """
    loader = ChoiceLoader([PackageLoader(name, "assets") for name in dict.fromkeys((package, SHARED))])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    css = _asset(SHARED, "common.css") + _asset(package, "page.css")
    script = "".join([_asset(SHARED, "common.js"), *(_asset(package, name) for name in scripts)])
    return environment.get_template("page.html").render(
        css=css,
        script=script,
        # Only these two may run or style anything, even if a name had become markup.
        policy=f"default-src 'none'; img-src {images}; style-src '{_digest(css)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'",
        data=data,
        **values,
    )


def _asset(package: str, name: str) -> str:
    return (files(package) / "assets" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """As a Content-Security-Policy names a text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
