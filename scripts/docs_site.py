"""What ``make docs`` adds to MkDocs: pages made of the README and of ``src/lnl``, links, mathematics, Sphinx's roles.

MkDocs calls the functions ``on_...``, mkdocstrings uses :class:`Docstrings`. Griffe reads the source, and lnl is not
imported.
"""

import html
import logging
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import griffe
from latex2mathml.converter import convert
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
ROOT_PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
# What reads finished runs. Besides these modules the reference has every package with an ``__all__``, and the sources.
MODULES = ("lnl.reporting.results", "lnl.runs.find", "lnl.runs.folder", "lnl.trained.loading")

MODULE = """---
title: {name}
---
::: {name}
    options: {{heading_level: 1, members: false, show_root_full_path: true, show_symbol_type_heading: false}}

"""
SOURCE = """---
search: {{exclude: true}}
---
# {place}

````python linenums="1"
{code}````
"""
LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")
MATH = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
LETTER = re.compile(r'<mi mathvariant="(double-struck|script)">([A-Z])</mi>')
FUNCTION = re.compile(r"<mi>(log|exp)</mi>(?!<mo stretchy)")
ROLE = re.compile(r":(math|class|func|meth|mod|attr|exc|data|obj):`([^`]+)`")
ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
SEVERAL = re.compile(r"^( +)(\w+(?:, \w+)+)(:.*(?:\n\1 +.*)*)", re.MULTILINE)  # a, b: what both are

log = logging.getLogger("mkdocs.plugins.lnl")  # a strict build fails on its warnings


def on_config(config: Any) -> Any:
    """Adds the API reference to the navigation."""
    found = reference(load()).items()
    pages = [{paths[0] if len(paths) == 1 else name: f"api/{name}.md"} for name, paths in found]
    config.nav.append({"API reference": pages})
    return config


def on_files(files: Any, config: Any) -> Any:
    """Adds the API reference, and pages for the files outside ``docs/`` that other pages link to."""
    tree = load()
    pages = {page: (ROOT / name).read_text() for name, page in ROOT_PAGES.items()}
    for name, paths in reference(tree).items():
        pages[f"api/{name}.md"] = MODULE.format(name=name) + "\n\n".join(f"::: {path}" for path in paths)
    texts = {**pages, **{page.src_uri: page.content_string for page in files.documentation_pages()}}
    linked = {in_repository(page, link[1]) for page, text in texts.items() for link in LINK.finditer(text)}
    for place in linked | rewrite_docstrings(tree, warn=log.warning):
        if (page := site_page(place)).startswith("source/") and (ROOT / place).is_file():
            pages[page] = SOURCE.format(place=place, code=(ROOT / place).read_text())
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Points links at the pages that show the files of the repository that are linked to."""
    folder = os.path.dirname(page.file.src_uri) or "."

    def rewritten(link: re.Match[str]) -> str:
        place = in_repository(page.file.src_uri, link[1])
        known = (ROOT / place).is_file()  # else MkDocs says that there is no such file
        return f"]({os.path.relpath(site_page(place), folder)}{link[2] or ''})" if known else link[0]

    return LINK.sub(rewritten, markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Turns TeX into MathML, which browsers show without a script."""
    return MATH.sub(lambda found: mathml(html.unescape(found[2]), found[1] == "div"), content)


def in_repository(page: str, link: str) -> str:
    """The path, in the repository, that a page of the site links to."""
    home = {made: name for name, made in ROOT_PAGES.items()}.get(page, f"docs/{page}")
    return os.path.normpath(os.path.join(os.path.dirname(home), link))


def site_page(place: str) -> str:
    """The page that shows a file of the repository."""
    return ROOT_PAGES.get(place) or (place[5:] if place.startswith("docs/") else f"source/{place}.md")


def mathml(tex: str, block: bool) -> str:
    """MathML of TeX, in the part of it that browsers know."""

    def letter(found: re.Match[str]) -> str:
        name = f"{found[1].upper()} CAPITAL {found[2]}"
        try:
            return f"<mi>{unicodedata.lookup(name)}</mi>"
        except KeyError:
            return f"<mi>{unicodedata.lookup(f'MATHEMATICAL {name}')}</mi>"

    found = LETTER.sub(letter, convert(tex, display="block" if block else "inline"))
    if "\\" in found:
        log.warning("TeX with a command that is not known: %s", tex)
    found = found.replace("<mi>&#x0007E;</mi>", "<mo>∼</mo>")
    return FUNCTION.sub(r'\g<0><mspace width="0.167em" />', found)


def load() -> Any:
    """``lnl`` as Griffe reads it."""
    return griffe.load("lnl", search_paths=[ROOT / "src"], allow_inspection=False)


def reference(tree: Any) -> dict[str, list[str]]:
    """The pages of the API reference, each with the objects that it describes."""
    found = {}
    for module in (tree, *sorted(tree.modules.values(), key=lambda module: module.path)):
        if module.exports:
            names = [name for name in module.exports if not name.startswith("_")]
            hidden = module.modules  # such as the module noise.corrupt, which has the name of its function
            found[module.path] = [f"{module.path}.{name}" + f".{name}" * (name in hidden) for name in names]
        elif module.path == "lnl.datasets":
            found[module.path] = [
                source.path for source in walk(module) if "lnl.datasets.source.Source" in bases(source)
            ]
    for path in MODULES:
        members = at(tree, path).members.values()
        found[path] = [each.path for each in members if not each.is_alias and each.is_public and each.has_docstring]
    return found


def rewrite_docstrings(tree: Any, warn: Callable[..., None] | None = None) -> set[str]:
    """Turns the roles of all docstrings into links, and returns the source files that the reference links to."""
    pages = reference(tree)
    shown = {each.path for paths in pages.values() for path in paths for each in described(at(tree, path))} | set(pages)
    files = set()

    def link(each: Any, role: re.Match[str]) -> str:
        kind, text = role.groups()
        if kind == "math":
            return rf"\({text}\)"
        title, name = titled(text)
        target = resolved(each, name)
        if target is None:
            if warn:
                warn("%s, %s: there is no %s", each.relative_package_filepath, each.path, name)
            return title
        known = target
        while known.path not in shown and not known.is_class and not known.is_module:
            known = known.parent  # an attribute, for one, is described with its class
        if known.path in shown:
            return f"[{title}][{known.path}]"
        file = target.filepath.relative_to(ROOT).as_posix()
        if each.path in shown:
            files.add(file)
        return f"[{title}](../{site_page(file)}#__codelineno-0-{target.lineno or 1})"

    for each in walk(tree):
        if each.docstring:
            text = ROLE.sub(partial(link, each), each.docstring.value)
            text = ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
            each.docstring.value = SEVERAL.sub(row_each, text)
    return files


def titled(text: str) -> tuple[str, str]:
    """The title and the name in a role: ``title <name>``, ``name``, or ``~path.name`` with its last part as title."""
    if named := re.fullmatch(r"(.+?)\s+<~?(.+)>", text):
        return named[1], named[2]
    return f"`{text.rpartition('.')[2] if text.startswith('~') else text}`", text.lstrip("~")


def row_each(rows: re.Match[str]) -> str:
    """A row for each of several parameters that are described together, or of several errors."""
    first, *others = rows[2].split(", ")
    text = rows[3] if first[0].isupper() else f": see `{first}`"
    return "\n".join([f"{rows[1]}{first}{rows[3]}", *(f"{rows[1]}{other}{text}" for other in others)])


def described(each: Any) -> list[Any]:
    """An object and its members that the reference describes."""
    members = each.members.values() if each.is_class else ()
    return [each, *(member for member in members if not member.is_alias and member.is_public and member.has_docstring)]


def resolved(each: Any, name: str) -> Any:
    """What a name in a docstring is: a path, or a name that its object or those around it have; None if nothing is."""
    scope = each
    while scope is not None:
        path = name if name.startswith("lnl.") else f"{scope.path}.{name}"
        try:
            return at(each.package, path)
        except (KeyError, griffe.AliasResolutionError):
            scope = scope.parent
    return None


def at(tree: Any, path: str) -> Any:
    """The object at a path, inherited members included; where a module hides a function of its name, the function."""
    found = tree
    for name in path.split(".")[1:]:
        found = found.all_members[name] if found.is_class or found.is_module else found.members[name]
        found = found.final_target if found.is_alias else found
    if found.is_module and path != found.name and found.name in found.members:
        found = found.members[found.name]
    return found


def walk(each: Any) -> Iterator[Any]:
    """An object and all that is defined in it."""
    yield each
    for member in each.members.values():
        if not member.is_alias:
            yield from walk(member)


def bases(each: Any) -> list[str]:
    """The paths of a class's bases, theirs included."""
    return [base.path for base in each.mro()] if each.is_class else []


class Docstrings(griffe.Extension):
    """Rewrites the docstrings that mkdocstrings shows."""

    def on_package(self, *, pkg: Any, **_: Any) -> None:
        rewrite_docstrings(pkg)
