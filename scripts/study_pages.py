"""Writes tables and figures of runs into the studies' pages: ``python scripts/study_pages.py outputs``.

In ``docs/studies/*.md`` and ``docs/methods.md`` it replaces what stands between ``<!-- generated: NAME -->`` and
``<!-- end -->``, and nothing else; figures go to ``docs/studies/figures/<study>/NAME.png``. A block whose runs are not
there stays as it is.
"""

import argparse
import re
from importlib import import_module
from pathlib import Path

import pandas as pd

from lnl.reporting.results import read_runs
from studies.common import Blocks, Missing, Study

STUDIES = Path(__file__).parents[1] / "docs/studies"
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def write_page(page: Path, runs: pd.DataFrame, blocks: Blocks) -> list[str]:
    """Rewrites the blocks of a page; returns a line for each about what became of it."""
    study = Study(runs, page.parent / "figures" / page.stem)
    said: list[str] = []

    def replace(match: re.Match[str]) -> str:
        name = match[2]
        study.name = name
        try:
            if name not in blocks:
                raise Missing("no such block")
            text = blocks[name](study)
        except (Missing, ValueError) as error:
            said.append(f"{page.name}: {name} left as it was: {error}")
            return match[0]
        said.append(f"{page.name}: {name} written")
        return f"{match[1]}{text.strip()}\n{match[4]}"

    old = page.read_text()
    new = BLOCK.sub(replace, old)
    if new != old:
        page.write_text(new)
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outputs", nargs="+", type=Path, help="folders with runs")
    parser.add_argument("--pages", type=Path, default=STUDIES, help="the pages' folder")
    arguments = parser.parse_args()
    runs = read_runs(arguments.outputs)
    for page in [*sorted(arguments.pages.glob("*.md")), arguments.pages.parent / "methods.md"]:
        if page.exists() and (Path(__file__).parent / f"studies/{page.stem}.py").exists():
            print("\n".join(write_page(page, runs, import_module(f"studies.{page.stem}").BLOCKS)))


if __name__ == "__main__":
    main()
