"""docs/protocol.md is complete, and the code accepts its examples."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from inhand.controller.config.config import Config, show_config
from inhand.controller.core.records import EventKind
from inhand.controller.core.requests import TYPES
from inhand.controller.errors import ErrorCode
from inhand.controller.ipc.protocol import decode_request
from inhand.controller.ipc.telemetry import describe
from inhand.controller.safety.modes import Happening, Mode
from tests.controller.bench_hand import Bench, ScriptedPolicy

DOCS = Path(__file__).resolve().parents[3] / "docs"
PROTOCOL = (DOCS / "protocol.md").read_text()
SAFETY = (DOCS / "safety-and-modes.md").read_text()
KINDS, CODES = get_args(EventKind), get_args(ErrorCode)
EXAMPLES = [line for line in PROTOCOL.splitlines() if line.startswith("{")]


def test_every_name_of_the_protocol_is_documented() -> None:
    for name in (*TYPES, *KINDS, *CODES, *Mode, *Happening):
        assert f"`{name}`" in PROTOCOL, name


def test_every_request_has_examples_that_are_accepted() -> None:
    requests = [line for line in EXAMPLES if '"v":1' in line]
    for line in requests:
        decode_request(line.encode())
    assert {json.loads(line)["type"] for line in requests} == set(TYPES)


def test_the_other_examples_are_of_the_stated_form() -> None:
    for line in EXAMPLES:
        message: dict[str, Any] = json.loads(line)
        if "kind" in message and "v" not in message:
            assert message["kind"] in KINDS
        elif message.get("ok") is False:
            assert message["error"]["code"] in CODES


def members(message: Mapping[str, object]) -> Iterator[str]:
    for key, value in message.items():
        yield key
        if isinstance(value, dict):
            yield from members(value)


def test_every_member_of_the_state_is_documented() -> None:
    bench = Bench(ScriptedPolicy([]))
    bench.start(Mode.READY)
    bench.ask(3.0)
    bench.controller.goals.update(bench.t, bench.controller.snapshot().pose, [])
    for name in members(describe(bench.controller.snapshot(), bench.t)):
        assert f"`{name}`" in PROTOCOL, name


def test_every_mode_and_key_of_the_safety_page_exists() -> None:
    for mode in Mode:
        assert f"`{mode}`" in SAFETY
    shown = show_config(Config())
    keys = re.findall(r"`safety\.(\w+)", SAFETY)
    assert len(keys) >= 8
    assert all(f"\n{key} = " in shown for key in keys)
