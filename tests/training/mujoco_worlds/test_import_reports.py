"""The reports of imports in the documentation are what is printed."""

from pathlib import Path

import pytest

from inhand.training.mujoco_worlds.hand_command import Import
from tests.documents.pages import DOCS, blocks
from tests.training.mujoco_worlds.foreign_models import allegro_model, leap_model, shadow_model


def told(model: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The report of an import, without the line of rounding errors."""
    capsys.readouterr()
    Import(model, out).run()
    return [x for x in capsys.readouterr().out.splitlines() if not x.startswith("kinematics")]


def written(name: str) -> list[str]:
    """The same as the page has it."""
    (text,) = [x for x in blocks(DOCS / "imported-hands.md", "text") if x.startswith(f"{name}:")]
    return [x for x in text.splitlines() if not x.startswith("kinematics")]


def test_the_reports_in_the_documentation_are_what_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, model in (("leap", leap_model(tmp_path)), ("shadow", shadow_model())):
        assert told(model, tmp_path / f"{name}.toml", capsys) == written(name)


@pytest.mark.slow
def test_the_report_of_the_allegro_hand_is_what_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(allegro_model(tmp_path), tmp_path / "allegro.toml", capsys) == written("allegro")
