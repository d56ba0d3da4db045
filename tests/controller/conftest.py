"""What several tests of the controller begin with."""

from pathlib import Path

import pytest

from tests.controller.bench_hand import Bench, learned


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A controller on a hand of simple servos, with a real policy file."""
    return Bench(learned(tmp_path))
