"""The options of every group: lnl's own, and those in folders that the command line adds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from lnl.config import CONF_DIR


@dataclass(frozen=True)
class Options:
    """Groups and their options, by the YAML files in ``folders``, of which the first that has an option counts."""

    folders: tuple[Path, ...] = (Path(CONF_DIR),)

    @classmethod
    def beside(cls, places: Iterable[str]) -> "Options":
        """lnl's options and those in ``places``: folders, or entries of ``hydra.searchpath``."""
        found = [_folder(place) for place in places]
        return cls((Path(CONF_DIR), *(folder for folder in found if folder is not None)))

    def is_group(self, key: str) -> bool:
        return bool(key) and bool(self.names(key))

    def groups(self) -> list[str]:
        """The groups of a run's parts, as the options of ``data`` are; Hydra's own are none."""
        found = {path.name for folder in self.folders for path in folder.iterdir() if self.is_group(path.name)}
        return sorted(found - {"hydra"})

    def names(self, group: str) -> list[str]:
        return sorted({path.stem for folder in self.folders for path in (folder / group).glob("*.yaml")})

    def load(self, group: str, option: str) -> Any:
        """The content of an option's file, without what it starts from; empty if there is no such file."""
        paths = (folder / group / f"{option}.yaml" for folder in self.folders)
        return next((OmegaConf.load(path) for path in paths if path.is_file()), OmegaConf.create())

    def with_part(self, group: str, part: str) -> list[str]:
        """The options of a group with a part that is one of the same group, such as ``active`` of ``loss=apl``."""
        files = [path for folder in self.folders for path in (folder / group).glob("*.yaml") if group and part]
        return sorted({path.stem for path in files if f"- /{group}@{part}: " in path.read_text()})

    def takes_several(self, key: str) -> bool:
        """Whether a key may take a list: it is a group of parts that stand side by side, or no option has a number."""
        if self.is_group(key):
            return not any("_target_" in self.load(key, option) for option in self.names(key))
        group, _, name = key.rpartition(".")
        for option in self.names(group) if group else ["train"]:
            values = OmegaConf.to_container(self.load(group, option))
            if isinstance(values, dict) and isinstance(values.get(name), (int, float)):
                return False
        return True

    def null_by_default(self, config_name: str) -> set[str]:
        """The groups of which a command chooses no option by default."""
        found: set[str] = set()
        config: Any = OmegaConf.to_container(self.load("", config_name))
        for entry in config.get("defaults", []):
            if isinstance(entry, str) and entry != "_self_":
                found |= self.null_by_default(entry)
            elif isinstance(entry, dict):
                choices: Mapping[Any, Any] = {str(group).removeprefix("override "): entry[group] for group in entry}
                found = found - choices.keys() | {group for group, option in choices.items() if option is None}
        return found

    @property
    def searchpath(self) -> list[str]:
        """The override that has Hydra find the added options."""
        added = ",".join(f"'file://{folder.absolute()}'" for folder in self.folders[1:])
        return [f"hydra.searchpath=[{added}]"] if added else []


def _folder(place: str) -> Path | None:
    """The folder of an entry of ``hydra.searchpath``; None if there is none."""
    if place.startswith("pkg://"):
        try:
            found = find_spec(place.removeprefix("pkg://").replace("/", "."))
        except (ImportError, ValueError):
            return None
        return Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else None
    folder = Path(place.removeprefix("file://")).expanduser()
    return folder if folder.is_dir() else None
