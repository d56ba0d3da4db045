"""Any message of a client gets one reply, and none raises an exception in the tick."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from inhand.controller.core import requests
from inhand.controller.core.requests import TYPES
from inhand.controller.ipc.protocol import decode_request
from inhand.controller.ipc.request_queue import PendingRequest
from inhand.controller.safety.modes import Mode
from tests.controller.ipc.test_protocol import EXAMPLES
from tests.controller.looped import Looped
from tests.controller.served import PATIENCE, Asker, Served

MEMBERS = ("quaternion", "face", "heading", "rotation", "tolerance", "hold", "timeout", "replace")
MEMBERS += ("goals", "count", "kind", "max_angle", "seed", "since", "policy", "action", "images")

integers = st.sampled_from(
    [
        f"{sign}{2**bits + more}"
        for sign in ("", "-")
        for bits in (31, 32, 53, 63, 64)
        for more in (-1, 0, 1)
    ]
    + ["0", "-1", "1" * 300, "-" + "9" * 4000, "9" * 5000]
)
floats = st.sampled_from(
    ["1e308", "-1e308", "1e-320", "-1e-320", "5e-324", "1e309", "1e999", "-1e999", "-0.0", "1e16"]
    + ["3.15", "3.16", "6.2832", "6.29", "3600", "3600.1", "NaN", "Infinity", "1e", ".5", "00"]
) | st.floats(allow_nan=False, allow_infinity=False).map(repr)
texts = st.sampled_from(
    [r'"\ud800"', r'"\udfffx"', r'"\ud800\udc00"', r'"\u0000"', r'"a\nb"', '"+x"', '"-z"', '""']
    + ['"' + "x" * 65 + '"', '"' + "ä" * 64 + '"', '"' + "y" * 300 + '"', r'"\uffff"', '"so3"']
) | st.text(max_size=6).map(json.dumps)
others = st.sampled_from(
    ["true", "false", "null", "[]", "{}", "[" * 500 + "]" * 500, "[" * 2000, '{"a":' * 300, "{", ""]
)
numbers = integers | floats
scalars = numbers | texts | others
turns = st.lists(st.floats(-3, 3), min_size=3, max_size=3).map(json.dumps)
units = (
    st.lists(st.floats(-1, 1), min_size=4, max_size=4)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: json.dumps((np.array(q) / np.linalg.norm(q)).tolist()))
)
arrays = (
    st.lists(scalars, max_size=5).map(lambda items: "[" + ",".join(items) + "]") | turns | units
)
aims = st.dictionaries(st.sampled_from(MEMBERS[:4]), scalars | arrays, min_size=1, max_size=2).map(
    lambda aim: "{" + ",".join(f'"{k}":{v}' for k, v in aim.items()) + "}"
)
goals = st.lists(aims, min_size=1, max_size=3).map(lambda items: "[" + ",".join(items) + "]")
values = scalars | arrays | goals


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A valid request, with members changed, added, repeated or left out."""
    skeleton = {"v": "1", "id": "1"}
    skeleton |= {k: json.dumps(v) for k, v in draw(st.sampled_from(EXAMPLES)).items()}
    members = list(skeleton.items())
    for _ in range(draw(st.integers(0, 2))):
        what = draw(st.sampled_from(["change", "change", "add", "repeat", "drop"]))
        place = draw(st.integers(0, len(members) - 1)) if members else 0
        if what == "change" and members:
            members[place] = (members[place][0], draw(values))
        elif what == "add":
            members.append((draw(st.sampled_from(MEMBERS)), draw(values)))
        elif what == "repeat" and members:
            members.append((members[place][0], draw(values)))
        elif members:
            del members[place]
    message = "{" + ",".join(f'"{name}":{value}' for name, value in members) + "}"
    encoded = message.encode()
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(encoded)))
        encoded = (
            encoded[:at]
            + draw(st.sampled_from([b"\xff", b"\xed\xa0\x80", b"\x00", b"\xc3"]))
            + encoded[at:]
        )
    return encoded


@pytest.fixture(scope="module", params=[Mode.OFF, Mode.RUNNING])
def looped(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Looped]:
    looped = Looped(tmp_path_factory.mktemp("looped"))
    looped.start(request.param)
    yield looped
    looped.close()


def large(kind: str, id: int = 2**64) -> bytes:
    return json.dumps({"v": 1, "id": id, "type": kind}).encode()


def check_reply(looped: Looped, message: bytes) -> None:
    """Sends a message; from the mode that follows, continues towards goals."""
    replies = looped.say(message)
    assert len(replies) == 1
    reply = replies[0]
    assert reply["ok"] in (True, False) and (reply["ok"] or reply["error"]["message"])
    assert looped.loop.observers.failures == {} and looped.loop.tape.lost == 0
    assert not looped.loop.stop_reason or b"shutdown" in message
    looped.loop.stop_reason = ""
    goal = looped.controller.goals.active
    assert goal is None or np.isfinite(goal.quaternion).all()
    mode = looped.controller.mode
    ways = {Mode.OFF: "enable", Mode.HOLDING: "arm", Mode.ESTOP: "clear", Mode.FAULT: "clear"}
    if mode in ways:
        looped.ask(ways[mode])


# The hand goes through all its modes meanwhile, which no single example decides.
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(messages())
@example(large("estop"))
@example(large("estop", -(2**63) - 1))
@example(large("estop", 2**64 - 1))
@example(large("estop", -(2**63)))
@example(b'{"v":1,"id":1,"type":"events","since":' + b"9" * 300 + b"}")
@example(b'{"v":1,"id":1,"type":"goal","face":"+x","heading":1e308}')
@example(b'{"v":1,"id":1,"type":"random_goals","max_angle":1e-320,"timeout":1e-320}')
@example(b'{"v":1,"id":"\\ud800","type":"hold"}')
@example(b'{"v":' + b"[" * 900 + b"]" * 900 + b',"id":1,"type":"hold"}')
def test_one_reply_and_no_exception(looped: Looped, message: bytes) -> None:
    check_reply(looped, message)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
@given(messages())
def test_one_reply_and_no_exception_to_many_messages(looped: Looped, message: bytes) -> None:
    check_reply(looped, message)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(messages(), min_size=150, max_size=150))
def test_each_message_over_the_socket_has_one_reply(
    tmp_path_factory: pytest.TempPathFactory, said: list[bytes]
) -> None:
    directory = tmp_path_factory.mktemp("served")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    context.linger = 0
    with Served(directory) as served:
        client = Asker(context, directory)
        replies: Counter[bool] = Counter()
        for message in said:
            client.socket.send(message)
        for _ in said:
            assert client.socket.poll(PATIENCE), "no reply"
            replies[json.loads(client.socket.recv())["ok"]] += 1
        assert client.silent() and not served.failures
        assert client.ask("status")["ok"]
        assert served.bench.controller.mode in Mode
    context.destroy(linger=0)
    assert sum(replies.values()) == len(said)


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.RUNNING])
def test_goals_are_built_before_the_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    looped = Looped(tmp_path)
    looped.start(mode)
    message = {"v": 1, "id": 1, "type": "goals", "goals": [{"quaternion": [1, 0, 0, 0]}] * 1000}
    message["replace"] = True
    waiting = [
        PendingRequest([b"me"], decode_request(json.dumps(message).encode())) for _ in range(8)
    ]

    def built(*_: object) -> None:
        raise AssertionError("goals are decoded or built in the tick")

    monkeypatch.setattr(requests.GoalAim, "aim", built)
    monkeypatch.setattr(requests, "unit_quaternion", built)
    # The recorder decodes them again, in a process of its own.
    monkeypatch.setattr(looped, "_record", lambda: None)
    for pending in waiting:
        assert looped.request_queue.post(pending)
    # Each is as much as a tick may do, so that eight of them take eight ticks.
    replies = [reply["ok"] for _ in waiting for reply in looped.run()]
    assert replies == [mode is Mode.RUNNING] * 8
    monkeypatch.undo()
    looped.run()
    assert [len(record.inputs.requests) for record in looped.records[-9:-1]] == [1] * 8
    looped.close()


def test_every_type_is_in_the_skeletons() -> None:
    assert {str(skeleton["type"]) for skeleton in EXAMPLES} == set(TYPES)
