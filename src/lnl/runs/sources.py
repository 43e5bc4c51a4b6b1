"""What stands for a user's own code in a run's identity: its source, wherever it lies."""

import functools
import hashlib
import importlib.util
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def sources(config: Mapping[str, Any]) -> dict[str, str]:
    """For each ``_target_`` that is neither lnl's nor an installed package's, the sha256 of the code it names.

    That is its module's file; of a package, all ``.py`` files in it. What these import from elsewhere is not looked at.
    """
    found = {target: _source(target) for target in _targets(config)}
    return {target: source for target, source in found.items() if source}


def _targets(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("_target_"), str):
            yield value["_target_"]
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _targets(entry)


@functools.cache  # a process imports a module once: what is edited later is not what it runs
def _source(target: str) -> str | None:
    """Found without importing anything: a run that is finished is to be found at once."""
    first, *parts = target.split(".")
    if first == "lnl":
        return None
    try:
        spec = importlib.util.find_spec(first)
    except ValueError:  # of __main__
        return None
    if spec is None:
        return None
    file, folders = spec.origin, list(spec.submodule_search_locations or ())
    for part in parts:
        # By hand: importlib wants to import a folder without __init__.py before it looks for another in it.
        inside = [Path(folder, part) for folder in folders]
        modules = (path for folder in inside for path in (folder / "__init__.py", folder.with_suffix(".py")))
        found = next((str(path) for path in modules if path.is_file()), None)
        folders = [str(folder) for folder in inside if folder.is_dir()]
        if found is None and not folders:  # from here on names are of classes
            break
        file = found
    if file is None or not Path(file).is_file() or _installed(Path(file)):
        return None
    path = Path(file)
    package = path.name == "__init__.py"
    code = [path] if not package else sorted(path.parent.rglob("*.py"))
    digest = hashlib.sha256()
    for module in code:
        digest.update(f"{module.relative_to(path.parent).as_posix()}\0".encode() if package else b"")
        digest.update(module.read_bytes())
    return digest.hexdigest()


def _installed(file: Path) -> bool:
    standard = Path(sysconfig.get_path("stdlib")).resolve()
    return bool({"site-packages", "dist-packages"} & set(file.parts)) or file.resolve().is_relative_to(standard)
