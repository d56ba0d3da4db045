"""Readers of foreign bytes raise their own error in one line, or read: no other exception.

`make fuzz` runs this for hours, from another seed. What it finds goes to `tests/fuzz/corpus`, from
where every later run reads it first.
"""

import hashlib
import os
import random
import time
from pathlib import Path

import pytest

from tests.fuzz.mutation import mutate
from tests.fuzz.targets import TARGETS, Target

SECONDS = float(os.environ.get("INHAND_FUZZ_SECONDS", "1"))
"""How long each reader is fuzzed [s]."""

SEED = int(os.environ.get("INHAND_FUZZ_SEED", "1"))

CORPUS = Path(__file__).with_name("corpus")

_LONGEST = 10.0


def check(target: Target, data: bytes, directory: Path) -> None:
    """Reads some bytes; raises what the reader must not raise."""
    began, said = time.monotonic(), ""
    try:
        target.read(data, directory)
    except target.errors as error:
        said = str(error)
    lines = said.strip().splitlines()
    assert len(lines) <= 1, f"a message of {len(lines)} lines: {said}"
    assert time.monotonic() - began < _LONGEST


def found(target: Target) -> list[Path]:
    """What was found before, and made into a file of the corpus."""
    return sorted((CORPUS / target.name.replace(" ", "-")).glob("*"))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_bytes_raise_another_error(target: Target, tmp_path: Path) -> None:
    before = [path.read_bytes() for path in found(target)]
    corpus = [*target.corpus(), *before]
    for data in corpus:
        check(target, data, tmp_path)
    draw, deadline, tried = random.Random(SEED), time.monotonic() + SECONDS, 0
    while time.monotonic() < deadline or not tried:
        data = mutate(draw, corpus)
        tried += 1
        try:
            check(target, data, tmp_path)
        except Exception:
            place = CORPUS / target.name.replace(" ", "-")
            place.mkdir(parents=True, exist_ok=True)
            (place / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
            raise
    print(f"{target.name}: {tried} mutants")
