"""Tables, figures and the page of a report, written into its folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lnl.config import listed
from lnl.errors import UserError, many, nearest
from lnl.progress import working
from lnl.reporting.comparison import Comparison
from lnl.reporting.material import Material, Options, facts, gather
from lnl.reporting.tables import MARKDOWN

TABLES, FIGURES = ("md", "csv", "tex"), ("png", "svg")


def write_report(options: Options) -> str:
    """Reads the runs and writes ``report.md``, ``runs.csv``, ``tables/``, ``figures/`` and ``index.html``.

    Returns the runs, the first tables, and the files, as text.

    Raises:
        UserError: for runs, columns, metrics, rows or studies that do not exist.
    """
    _check_choices("tables", options.tables, TABLES)
    _check_choices("figures", options.figures, FIGURES)
    material = gather(options)
    folder = Path(options.output_dir).expanduser() / material.name
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("tables/*.*"), *folder.glob("figures/*.*"), folder / "index.html"]:
        if old.suffix[1:] in (*TABLES, *FIGURES, "html"):
            old.unlink(missing_ok=True)
    for table in material.tables:
        _write_table(table, folder / "tables", options.tables)
    material.runs.to_csv(folder / "runs.csv", index=False)
    pictures: dict[str, str] = {}
    if options.figures:
        from lnl.reporting.report_figures import write_figures

        with working(f"drawing figures of {_runs(material)}"):
            pictures = write_figures(material, folder / "figures", options.figures)
    (folder / "report.md").write_text(_markdown(material, pictures, options.figures))
    if options.page:
        from lnl.reporting.page import write_page

        with working(f"writing the page of {_runs(material)}"):
            write_page(material, folder / "index.html")
    tables = [table for table in material.tables if table.protocol == "last"] or material.tables
    lines = [f"  {facts(material)}", *(f"  skipped: {path}: {reason}" for path, reason in material.skipped.items()), ""]
    lines += [f"{table.markdown()}\n" for table in tables[:2]]
    files = [folder / "report.md", *([folder / "index.html"] if options.page else [])]
    return "\n".join([*lines, *(f"  {path}" for path in files)])


def _runs(material: Material) -> str:
    return many(len(material.single), "run", "runs")


def _check_choices(key: str, given: Any, allowed: Sequence[str]) -> None:
    for value in ["null"] if given is None else listed(given):
        if value not in allowed:
            must = f"{key} must be of {', '.join(allowed)}, or [] for none"
            raise UserError(f"{must}; got '{value}'{nearest(value, allowed)}")


def _write_table(table: Comparison, folder: Path, formats: Sequence[str]) -> None:
    if "md" in formats:
        (folder / f"{table.slug}.md").write_text(table.markdown() + "\n")
    if "csv" in formats:
        table.frame().to_csv(folder / f"{table.slug}.csv", index=False)
    if "tex" in formats:
        (folder / f"{table.slug}.tex").write_text(table.latex())


def _markdown(material: Material, pictures: Mapping[str, str], formats: Sequence[str]) -> str:
    parts = [f"# {MARKDOWN.escape(material.name)}", facts(material) + "."]
    parts += ["## Tables", *(table.markdown() for table in material.tables)]
    if pictures:
        kind = "png" if "png" in formats else "svg"
        parts += ["## Figures", *(f"![{text}](figures/{name}.{kind})\n\n{text}" for name, text in pictures.items())]
    if material.skipped:
        parts += ["## Skipped", "\n".join(f"- `{folder}`: {reason}" for folder, reason in material.skipped.items())]
    paths = sorted({str(Path(path).parent) for path in material.single["path"]})
    parts += ["## Runs", "Every run and number: [runs.csv](runs.csv), of", "\n".join(f"- `{path}`" for path in paths)]
    return "\n\n".join(parts) + "\n"
