"""Mutation test: each mutant of the safety chain fails a test, or is listed with a reason."""

from pathlib import Path

# Not for this file: what is imported here, each of its children need not import again.
import hypothesis.extra.numpy  # noqa: F401
import pytest

import inhand.hardware.model.hand  # noqa: F401  the same
from tests.mutants import mutants, survives

ROOT = Path(__file__).resolve().parents[3]

MORE_TESTS = {"drop_detector": ("test_falls.py",)}
"""Files with further tests of a module, beside the one of its name."""

FIRST = "the first reading sets it anew"
FLOAT = "it differs at a single float, where either is right"
LONGER = "the longer way around comes to the same there"
EQUIVALENT: dict[str, dict[str, str]] = {
    "drop_detector": {
        "t - self._changed_since < CONFIRMATION - 1e-06 -> "
        "t - self._changed_since <= CONFIRMATION - 1e-06": FLOAT,
    },
    "derating": {
        "effort.heat.max() <= WARM -> effort.heat.max() < WARM": LONGER,
        "temperature.max() <= WARM_CASE -> temperature.max() < WARM_CASE": LONGER,
    },
    "joint_health": {
        "np.zeros(hand.n_actuators) -> np.ones(hand.n_actuators)": FIRST,
        "-np.inf -> +np.inf": FIRST,
        "self._most - self._least > STUCK_TRAVEL -> "
        "self._most - self._least >= STUCK_TRAVEL": FLOAT,
        "position >= self._lower -> position > self._lower": FLOAT,
        "position <= self._upper -> position < self._upper": FLOAT,
        "age > limit -> age >= limit": FLOAT,
        "np.abs(position - last.position) > possible -> "
        "np.abs(position - last.position) >= possible": FLOAT,
        "t - self._since > STUCK_AFTER -> t - self._since >= STUCK_AFTER": FLOAT,
    },
}
"""Mutants that behave as the original does, by module: what was done, and why nobody could tell."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["safety", "derating", "joint_health", "drop_detector", "modes"])
def test_every_mutant_fails_a_test(name: str) -> None:
    path = ROOT / "controller" / "safety" / f"{name}.py"
    files = (f"test_{name}.py", *MORE_TESTS.get(name, ()))
    tests = [str(Path(__file__).with_name(file)) for file in files]
    found = list(mutants(path.read_text()))
    alive = [m.where for m in found if survives(f"inhand.controller.safety.{name}", path, m, tests)]
    explained = EQUIVALENT.get(name, {})
    print(f"{name}: {len(found)} mutants, {len(found) - len(alive)} noticed")
    assert {where.partition(": ")[2] for where in alive} <= set(explained), alive
