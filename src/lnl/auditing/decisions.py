"""From decisions to a corrected label file."""

from pathlib import Path

import pandas as pd

from lnl.errors import UserError

COLUMNS = ("index", "given_label", "suggested_label", "decision", "label")
DECISIONS = ("keep", "change", "unsure")


def corrected_labels(issues: pd.DataFrame, decisions: pd.DataFrame | None = None) -> pd.DataFrame:
    """The label of every sample from now on: ``index``, ``file``, ``given_label``, ``label``, ``changed``, by index.

    Args:
        issues: of :func:`lnl.auditing.find_issues`.
        decisions: of :func:`read_decisions`; None: every suggestion for an issue is accepted.
    """
    table = issues.sort_values("index").reset_index(drop=True)
    if decisions is None:
        table["label"] = table["given_label"].where(~table["issue"], table["suggested_label"])
    else:
        label = table["index"].map(decisions.set_index("index")["label"])
        table["label"] = label.where(label.notna(), table["given_label"])
    table["changed"] = table["label"] != table["given_label"]
    return table[["index", "file", "given_label", "label", "changed"]]


def read_issues(path: Path) -> pd.DataFrame:
    """An audit's ``issues.csv``.

    Raises:
        UserError: if there is none.
    """
    if not path.is_file():
        raise UserError(f"there is no audit in {path.parent}: {path.name} is missing. Name its folder by output=...")
    return _table(path)


def read_decisions(path: Path, issues: pd.DataFrame) -> pd.DataFrame:
    """Decisions as the audit's page exports them, seen to be about the samples of ``issues``.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    if not path.is_file():
        raise UserError(f"there is no file of decisions at {path}")
    try:
        table = _table(path)
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read as decisions: {str(error).splitlines()[0]}") from error
    if missing := [name for name in COLUMNS if name not in table]:
        raise UserError(f"{path} is not a file of decisions: it has no column {missing[0]}; it needs {', '.join(COLUMNS)}.")
    if (unknown := ~table["decision"].isin(DECISIONS)).any():
        raise UserError(f"{path}: a decision is {', '.join(DECISIONS)}, not '{table['decision'][unknown].iloc[0]}'")
    index = pd.to_numeric(table["index"], errors="coerce")
    if index.isna().any() or index.duplicated().any():
        raise UserError(f"{path}: its `index` must be different whole numbers")
    table["index"] = index.astype("int64")
    known = issues.set_index("index")
    strange = ~table["index"].isin(known.index)
    strange |= table["given_label"] != table["index"].map(known["given_label"]).fillna("")
    if strange.any():
        row = table[strange].iloc[0]
        raise UserError(
            f"{path} is of other data: sample {row['index']} with the label '{row['given_label']}' is not in this audit "
            f"({int(strange.sum())} of {len(table)} decisions)"
        )
    classes = {*issues["given_label"], *issues["suggested_label"]}
    if (unknown := ~table["label"].isin(classes)).any():
        raise UserError(f"{path}: '{table['label'][unknown].iloc[0]}' is no class of this audit's")
    kept = (table["decision"] != "change") & (table["label"] != table["given_label"])
    if kept.any():
        row = table[kept].iloc[0]
        raise UserError(f"{path}: sample {row['index']} is to {row['decision']} '{row['given_label']}', not '{row['label']}'")
    return table


def _table(path: Path) -> pd.DataFrame:
    """A CSV whose labels and files are text, whatever they look like: a class may be called 1, or NA."""
    text = dict.fromkeys(("file", "given_label", "suggested_label", "decision", "label"), "str")
    return pd.read_csv(path, dtype=text, keep_default_na=False)
