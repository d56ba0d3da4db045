"""What tests of evaluations share: small trials, universes as files, the verb as it is typed."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inhand.controller.cli import main
from inhand.hardware.model.hand import load_hand
from inhand.training.evaluation.trials import Rules, Setup
from tests.controller import tiny_policy

HAND = load_hand("dactyl24")

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """Three seconds a goal, in nominal MuJoCo, with a policy that has learned nothing."""
    path = tmp_path_factory.mktemp("policy") / "tiny.onnx"
    sha256 = tiny_policy.write_policy(path, HAND)
    rules = Rules(timeout=3.0)
    return Setup(
        path, sha256, "mujoco", "dactyl24", "block", None, None, False, rules, seed=1, wires=False
    )


@pytest.fixture
def universe(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "universe.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def inhand_eval(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """Runs the verb as it is typed; gives exit code or error, standard output and error."""

    def run(*arguments: str) -> tuple[object, str, str]:
        words = ["inhand", "eval", "--policy", str(setup.policy), *arguments]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main.main()
        return ended.value.code, *capfd.readouterr()

    return run
