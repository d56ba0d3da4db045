"""Each small wrong in the safety chain fails a test, or is listed here with why it may not."""

from pathlib import Path

import hypothesis.extra.numpy  # noqa: F401  what every child needs
import pytest

import hardware.hand  # noqa: F401
from tests.mutants import mutants, survives

ROOT = Path(__file__).resolve().parents[2]

EQUIVALENT: dict[str, dict[str, str]] = {
    "presence": {
        "t - self._changed_since < CONFIRMATION - 1e-06 -> "
        "t - self._changed_since <= CONFIRMATION - 1e-06": "no tick lies at that very float",
    },
}
"""Mutants that behave as the original does, by module: what was done, and why nobody could tell."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["safety", "derating", "joint_health", "presence", "modes"])
def test_every_wrong_is_noticed(name: str) -> None:
    path = ROOT / "controller" / f"{name}.py"
    tests = [str(ROOT / "tests" / "controller" / f"test_{name}.py")]
    found = list(mutants(path.read_text()))
    alive = [m.where for m in found if survives(f"controller.{name}", path, m, tests)]
    explained = EQUIVALENT.get(name, {})
    print(f"{name}: {len(found)} mutants, {len(found) - len(alive)} noticed")
    assert {where.partition(": ")[2] for where in alive} == set(explained), alive
