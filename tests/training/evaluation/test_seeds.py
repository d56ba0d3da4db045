"""A seed below 0, which NumPy does not take, is refused in one line."""

import sys
from collections.abc import Callable

import pytest

from inhand.errors import InhandError
from inhand.training.evaluation import batch_measure, interventions, monitor_command, probe


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (batch_measure.main, ("block-refined",)),
        (probe.main, ()),
        (interventions.main, ()),
        (monitor_command.main, ("train",)),
        (monitor_command.main, ("measure",)),
    ],
)
def test_a_negative_seed(
    monkeypatch: pytest.MonkeyPatch, main: Callable[[], int], words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "argv", ["command", *words, "--seed", "-1"])
    with pytest.raises(InhandError) as refused:
        main()
    said = str(refused.value)
    assert "--seed not negative" in said or "--seed and --threads not negative" in said
    assert "\n" not in said
