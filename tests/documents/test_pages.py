"""The documentation is right: links have targets, and the program accepts the commands."""

import ast
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import tyro

from inhand.controller.cli import main
from inhand.controller.config.config import load_config
from inhand.controller.runtime import daemon
from tests.documents.pages import (
    DOCS,
    PAGES,
    ROOT,
    anchors,
    blocks,
    commands,
    files,
    links,
    mentions,
    paths,
)

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

WRITTEN = (
    "reliability.md",
    "results.md",
    "transfer.md",
    "probe.md",
    "interventions.md",
    "monitor.md",
)
"""Pages that commands write; the commands may not have run."""

STANDS_FOR = {"…": None, "...": ""}
"""Words that stand for something left out."""


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_to_pages_and_headings_that_exist(page: Path) -> None:
    for link in links(page):
        if re.match(r"https?://|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if target.name in WRITTEN:
            continue
        assert target.exists(), f"{page.name}: {link}"
        assert target.is_relative_to(ROOT)
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_is_in_the_index() -> None:
    indexes = (DOCS / "README.md", DOCS / "decisions" / "README.md")
    linked = {(index.parent / link).resolve() for index in indexes for link in links(index)}
    for page in DOCS.rglob("*.md"):
        assert page in linked or page in indexes[:1], f"no index links to {page.name}"


def test_the_index_has_the_order_in_which_a_user_reads() -> None:
    headings = re.findall(r"^## (.*)$", (DOCS / "README.md").read_text(), re.MULTILINE)
    assert headings == [
        "Start",
        "Use",
        "Your own hand",
        "Your own object",
        "How it works",
        "Reference",
    ]


class ParsedError(Exception):
    """The command line was understood; nothing was done."""


@pytest.fixture
def only_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(real: Any) -> Any:
        def parsed(*arguments: Any, **options: Any) -> Any:
            real(*arguments, **options)
            raise ParsedError

        return parsed

    monkeypatch.setattr(tyro, "cli", parse(tyro.cli))
    subcommands = tyro.extras.subcommand_cli_from_dict
    monkeypatch.setattr(tyro.extras, "subcommand_cli_from_dict", parse(subcommands))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_is_one_that_the_program_takes(
    page: Path, only_parse: None, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for line in commands(page):
        words = [STANDS_FOR.get(word, word) for word in line]
        monkeypatch.setattr(sys, "argv", [word for word in words if word])
        if words[1:2] == ["bench"]:
            continue
        try:
            main.main() if words[0] == "inhand" else daemon.main()
        except ParsedError:
            continue
        except SystemExit as ended:
            if not ended.code or "No such file" in str(ended.code):
                continue
            pytest.fail(f"{page.name}: {' '.join(line)}: {ended.code} {capsys.readouterr()}")


def test_what_the_text_mentions_exists(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    helped: dict[str, str] = {}
    for page in PAGES:
        for program, *words in mentions(page):
            verb = "" if program == "inhandd" else words[0]
            if verb == "bench":
                continue
            if verb not in helped:
                monkeypatch.setattr(sys, "argv", [program, *([verb] if verb else []), "--help"])
                with pytest.raises(SystemExit) as ended:
                    main.main() if verb else daemon.main()
                assert ended.value.code == 0, f"{page.name}: {program} {verb}"
                helped[verb] = capsys.readouterr().out
            for word in words:
                if word.startswith("--") and verb not in ("calibrate",):
                    assert word.partition("=")[0] in helped[verb], f"{page.name}: {words}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_in_the_pages_is_python(page: Path) -> None:
    for text in blocks(page, "python"):
        compile(text, str(page), "exec")


def test_configurations_in_the_pages_are_right(tmp_path: Path) -> None:
    for page in PAGES:
        for name, text in files(page).items():
            if "[policy]" in text:
                (tmp_path / name).write_text(text)
                load_config(tmp_path / name)


def test_symptoms_are_in_the_words_of_the_program() -> None:
    """The program's messages, as string constants in its source."""
    said = []
    for package in ("controller", "perception", "hardware", "sim_backend"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    said.append(node.value)
    source = "\n".join(said)
    table = (DOCS / "troubleshooting.md").read_text()
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")]
    for symptom in rows:
        for quoted in re.findall(r"`([^`]*)`", symptom):
            if quoted.startswith("/"):
                continue
            for words in re.split(r"…|/run/inhand|pybullet", quoted):
                assert words.strip(" :") in source, f"{quoted!r}: the program never says that"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_paths_in_the_text_exist(page: Path) -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}
    for path in paths(page):
        # Words in capitals stand for a name.
        if path.split("/")[0] in folders and not Path(path).stem.isupper():
            assert (ROOT / path).exists(), f"{page.name}: {path}"
