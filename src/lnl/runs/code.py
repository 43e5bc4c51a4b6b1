"""What a run's identity takes from source code, read without importing it."""

import ast
import contextlib
import functools
import hashlib
import importlib.util
import itertools
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lnl.config import nested


def sources(config: Mapping[str, Any]) -> dict[str, str]:
    """For each ``_target_`` that is neither lnl's nor an installed package's, the sha256 of the code it names.

    That is its module's file; of a package, all ``.py`` files in it. Their imports from elsewhere do not count.
    """
    targets = [value for key, value in nested(config) if key == "_target_" and isinstance(value, str)]
    found = {target: _source(target) for target in targets}
    return {target: source for target, source in found.items() if source}


def _located(target: str) -> tuple[Path | None, list[str]]:
    """The file of a target's module and the names in it: of ``mine.method.Own`` ``mine/method.py`` and ``["Own"]``."""
    first, *parts = target.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except ValueError:  # of __main__
        spec = None
    if spec is None:
        return None, []
    file, folders = spec.origin, list(spec.submodule_search_locations or ())
    while parts:
        # Not by importlib, which imports a folder without __init__.py before it searches it.
        inside = [Path(folder, parts[0]) for folder in folders]
        modules = (path for folder in inside for path in (folder / "__init__.py", folder.with_suffix(".py")))
        found = next((str(path) for path in modules if path.is_file()), None)
        folders = [str(folder) for folder in inside if folder.is_dir()]
        if found is None and not folders:  # from here on names are of classes
            break
        file = found
        parts.pop(0)
    return (Path(file) if file is not None and Path(file).is_file() else None), parts


@functools.cache  # a process imports a module once: it does not run later edits
def _source(target: str) -> str | None:
    path = None if target.partition(".")[0] == "lnl" else _located(target)[0]
    if path is None or _installed(path):
        return None
    package = path.name == "__init__.py"
    digest = hashlib.sha256()
    for module in sorted(path.parent.rglob("*.py")) if package else [path]:
        digest.update(f"{module.relative_to(path.parent).as_posix()}\0".encode() if package else b"")
        digest.update(module.read_bytes())
    return digest.hexdigest()


def _installed(file: Path) -> bool:
    standard = Path(sysconfig.get_path("stdlib")).resolve()
    return bool({"site-packages", "dist-packages"} & set(file.parts)) or file.resolve().is_relative_to(standard)


def class_attribute(target: Any, name: str) -> Any:
    """The constant that a class, or one that it extends, assigns to ``name`` in its body; None if none does.

    Importing a class may load torch, and a finished run is found without it. Classes of installed packages other than
    lnl are not read.
    """
    return _assigned(target, name, _constant)


def class_named(target: Any, name: str) -> str | None:
    """The full name of the class that a class assigns to ``name``, found as by :func:`class_attribute`."""
    found: str | None = _assigned(target, name, _full_name)
    return found


def _constant(value: ast.expr, known: Mapping[str, str]) -> Any:
    with contextlib.suppress(ValueError):
        return ast.literal_eval(value)
    return None


def _full_name(value: ast.expr, known: Mapping[str, str]) -> str | None:
    first, *rest = ast.unparse(value).split(".")
    return ".".join([known[first], *rest]) if first in known else None


@functools.cache
def _assigned(target: Any, name: str, read: Callable[[ast.expr, Mapping[str, str]], Any]) -> Any:
    """What ``read`` makes of the value, and of the full names by the names in its file."""
    file, names = _located(target) if isinstance(target, str) else (None, [])
    if file is None or not names or (target.partition(".")[0] != "lnl" and _installed(file)):
        return None
    module = target.split(".")[: -len(names)]
    try:
        statements = ast.parse(file.read_text()).body
    except (OSError, SyntaxError, ValueError):
        return None  # an import says what is wrong with it
    known: dict[str, str] = {}
    for statement in statements:
        if isinstance(statement, ast.Import):
            known |= {alias.asname: alias.name for alias in statement.names if alias.asname}
        elif isinstance(statement, ast.ImportFrom):
            up = statement.level - (file.name == "__init__.py")
            start = module[: len(module) - up] if statement.level else []
            whole = ".".join([*start, *filter(None, [statement.module])])
            known |= {alias.asname or alias.name: f"{whole}.{alias.name}" for alias in statement.names}
        elif isinstance(statement, ast.ClassDef) and statement.name == names[0]:
            bases = [ast.unparse(base).partition("[")[0].split(".") for base in statement.bases]
            inherited = (_assigned(".".join([known.get(base[0], base[0]), *base[1:]]), name, read) for base in bases)
            lines = (line for line in statement.body if name in _names(line) and getattr(line, "value", None))
            values = itertools.chain((read(line.value, known) for line in lines), inherited)  # type: ignore[attr-defined]
            return next((value for value in values if value is not None), None)
        elif isinstance(statement, ast.ClassDef):
            known[statement.name] = ".".join([*module, statement.name])
    return _assigned(known[names[0]], name, read) if names[0] in known else None


def _names(line: ast.stmt) -> list[Any]:
    """The names that a statement assigns to."""
    targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
    return [getattr(target, "id", None) for target in targets]
