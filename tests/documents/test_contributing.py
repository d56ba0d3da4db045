"""The tour of the code names files and functions that exist, and visits each package once."""

import ast
import re

import pytest

from tests.documents.pages import CONTRIBUTING, ROOT

_PLACE = re.compile(r"`([\w/]+\.py): ([\w.]+)`")
_PACKAGE = re.compile(r"^[A-Z][\w ]+ \(`(\w+)`\)$", re.MULTILINE)


def places(text: str) -> list[tuple[str, str]]:
    """Files and names in a text, in order."""
    return _PLACE.findall(text)


def walks() -> dict[str, str]:
    """The walks of the tour: heading and text."""
    parts = re.split(r"^(#+ .*)$", CONTRIBUTING.read_text(), flags=re.MULTILINE)
    titled = zip(parts[1::2], parts[2::2], strict=True)
    return {title: text for title, text in titled if title.startswith("### ")}


def defined(body: list[ast.stmt], name: str) -> bool:
    """Whether a body defines a name; `Class.method` is looked up inside the class."""
    head, _, rest = name.partition(".")
    for statement in body:
        match statement:
            case ast.ClassDef(name=found) if found == head:
                return not rest or defined(statement.body, rest)
            case ast.FunctionDef(name=found) | ast.AsyncFunctionDef(name=found) if found == head:
                return not rest
            case ast.Assign(targets=[ast.Name(id=found)]) if found == head:
                return not rest
            case ast.AnnAssign(target=ast.Name(id=found)) if found == head:
                return not rest
    return False


@pytest.mark.parametrize(("file", "name"), places(CONTRIBUTING.read_text()))
def test_every_place_of_the_tour_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    assert defined(tree.body, name), f"CONTRIBUTING.md names {name}, which {file} does not define"


def test_there_are_walks() -> None:
    assert len(walks()) == 3
    assert all(len(places(text)) >= 10 for text in walks().values())


@pytest.mark.parametrize("title", walks())
def test_a_walk_visits_each_package_once(title: str) -> None:
    parts = _PACKAGE.split(walks()[title])
    packages, texts = parts[1::2], parts[2::2]
    assert len(set(packages)) == len(packages) > 3
    for package, text in zip(packages, texts, strict=True):
        # What comes after an empty line without a bullet is no hop.
        steps = "\n".join(part for part in text.split("\n\n") if part.startswith("- "))
        visited = {file.split("/")[-2] for file, _ in places(steps)}
        assert visited == {package}, f"{title}: {package}"


def test_the_layout_names_every_folder_and_package() -> None:
    layout = re.search(r"^## Layout\n+```\n(.*?)^```", CONTRIBUTING.read_text(), re.M | re.S)
    assert layout is not None
    words = set(re.findall(r"[\w]+", layout[1]))
    for folder in ("controller", "hardware", "perception", "training"):
        packages = {file.parent.name for file in (ROOT / folder).glob("*/__init__.py")}
        assert packages | {folder} <= words
    tops = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."}
    listed = {line.split("/")[0] for line in layout[1].splitlines() if line[0] != " "}
    generated = {"build", "dist", "runs"}
    assert listed == {t for t in tops - generated if not t.endswith((".egg-info", "__pycache__"))}
