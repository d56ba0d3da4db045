"""Requests are checked strictly: an error gets a code and one line, never a crash."""

import json
from math import hypot, nan, pi
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inhand.controller.core.goals import FaceUp, Orientation, RandomGoal, Turn
from inhand.controller.core.requests import TYPES, Goal, Goals, RandomGoals, unit_quaternion
from inhand.controller.ipc.protocol import (
    MAX_SIZE,
    ProtocolError,
    decode_request,
    reply_error,
    reply_ok,
)

EXAMPLES: list[dict[str, Any]] = [
    *({"type": kind} for kind in ("status", "enable", "disable", "home", "arm", "disarm")),
    *(
        {"type": kind}
        for kind in (
            "cancel",
            "hold",
            "estop",
            "clear",
            "shutdown",
            "record",
            "manual",
            "control",
        )
    ),
    {"type": "events", "since": 3},
    {"type": "load_policy", "policy": "block.onnx"},
    {"type": "goal", "face": "+x", "tolerance": 0.2, "hold": 0.5, "timeout": 60, "replace": True},
    {"type": "goals", "goals": [{"rotation": [0, 0, 1.5]}, {"face": "-z", "heading": -1.0}]},
    {"type": "joints", "positions": {"FFJ3": 0.5, "MFJ3": -0.25}, "speed": 0.4},
    {"type": "trajectory", "times": [0.5, 1.5], "positions": [[0.25], [0.5]], "joints": ["FFJ3"]},
    {"type": "random_goals", "count": 5, "kind": "face-up", "seed": 7},
]


def encoded(**members: object) -> bytes:
    return json.dumps({"v": 1, "id": 1, **members}).encode()


def refused(message: bytes, code: str, words: str = "") -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        decode_request(message)
    reply = msgspec.json.decode(reply_error(caught.value.id, caught.value.code, str(caught.value)))
    assert reply["ok"] is False and reply["error"]["code"] == code
    assert words in reply["error"]["message"]
    assert len(reply["error"]["message"].splitlines()) == 1
    return caught.value


def answer(message: bytes) -> dict[str, Any]:
    """The daemon's reply if the request were carried out."""
    try:
        reply = reply_ok(decode_request(message).id, {})
    except ProtocolError as error:
        reply = reply_error(error.id, error.code, str(error))
    decoded: dict[str, Any] = json.loads(reply)
    return decoded


def test_every_type_has_an_example() -> None:
    assert {example["type"] for example in EXAMPLES} == set(TYPES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["type"])
@pytest.mark.parametrize("id", [0, -5, 2**64 - 1, -(2**63), "", "ä" * 64])
def test_round_trip(example: dict[str, Any], id: str | int) -> None:
    request = decode_request(json.dumps({"v": 1, "id": id, **example}).encode())
    again = decode_request(msgspec.json.encode(request))
    assert again == request and request.id == id
    assert json.loads(reply_ok(request.id, {"mode": "off"})) == {
        "id": id,
        "ok": True,
        "mode": "off",
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["type"])
def test_an_unknown_field_is_refused(example: dict[str, Any]) -> None:
    error = refused(encoded(**example, torque=1), "invalid", "torque")
    assert error.id == 1


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        (b"", "malformed", "not a JSON object"),
        (b"enable", "malformed", "not a JSON object"),
        (b"[]", "malformed", "array"),
        (b'{"v":1', "malformed", "truncated"),
        (b"\xff\xfe", "malformed", "not a JSON object"),
        (b"[" * 60_000, "malformed", "not a JSON object"),
        (b'{"v":1,"id":' + b"9" * 5000 + b',"type":"status"}', "malformed", "out of range"),
        (b'{"v":1,"id":1,"type":"goal","quaternion":[NaN,0,0,0]}', "malformed", "invalid"),
        (b'{"v":1,"id":1,"type":"goal","quaternion":[1e999,0,0,0]}', "invalid", "out of range"),
        (b" " * (MAX_SIZE + 1), "too_large", f"at most {MAX_SIZE}"),
        (encoded(v=2, type="status"), "version", 'send "v": 1'),
        (b'{"id":1,"type":"status"}', "version", "None"),
        (encoded(type="reboot"), "unknown_type", "'reboot' is none of status, enable"),
        (encoded(), "unknown_type", "None"),
        (encoded(type=["status"]), "unknown_type", "status"),
        (encoded(type="x" * 9999), "unknown_type", "xxx"),
        (encoded(type="status", id=None), "invalid", "id"),
        (encoded(type="status", id=True), "invalid", "id"),
        (encoded(type="status", id="x" * 65), "invalid", "64"),
        (encoded(type="record", action="yes"), "invalid", "action"),
        (b'{"v":1,"id":1,"type":"record","a\\nb":1}', "invalid", "a b"),
        (encoded(type="events", since=-1), "invalid", "since"),
        (encoded(type="estop", id=2**64), "invalid", "64 bits"),
        (encoded(type="estop", id=-(2**63) - 1), "invalid", "64 bits"),
        (encoded(v=10**300, type="estop"), "version", "1000"),
        (encoded(type="events", since=2**63), "invalid", "since"),
        (encoded(type="random_goals", seed=2**32), "invalid", "seed"),
        (encoded(type="random_goals", count=True), "invalid", "count"),
        (encoded(type="random_goals", max_angle=1e308), "invalid", "max_angle"),
        (encoded(type="goal", face="+x", heading=1e308), "invalid", "heading"),
        (encoded(type="goal", face="+x", heading=-6.3), "invalid", "heading"),
        (encoded(type="goal", face="+x", tolerance=True), "invalid", "tolerance"),
        (encoded(type="goal", face="x" * 65), "invalid", "face"),
        (encoded(type="goal", rotation=[1e200, 1e200, 0]), "invalid", "full turn"),
        (b'{"v":1,"id":"\\ud800","type":"hold"}', "malformed", "JSON"),
        (b'{"v":1,"id":1,"type":"status","type":"estop"}', "invalid", "type"),
        (encoded(type="load_policy"), "invalid", "policy"),
        (encoded(type="load_policy", policy=""), "invalid", "policy"),
        (encoded(type="goals", goals=[]), "invalid", "goals"),
        (encoded(type="goals", goals=[{}] * 1001), "invalid", "1000"),
        (encoded(type="goals", goals=[{"fce": "+x"}]), "invalid", "fce"),
        (encoded(type="goals", goals=[{"face": "+x"}, {}]), "invalid", "exactly one"),
        (encoded(type="goal"), "invalid", "exactly one of quaternion, face and rotation"),
        (encoded(type="goal", face="+x", rotation=[0, 0, 1]), "invalid", "exactly one"),
        (encoded(type="goal", quaternion=[1, 0, 0]), "invalid", "quaternion"),
        (encoded(type="goal", quaternion=[1, 0, 0, "0"]), "invalid", "quaternion"),
        (encoded(type="goal", quaternion=[0, 0, 0, 0]), "invalid", "unit length, has 0"),
        (encoded(type="goal", quaternion=[1, 1, 0, 0]), "invalid", "unit length, has 1.41421"),
        (encoded(type="goal", quaternion=[1e200, 0, 0, 0]), "invalid", "unit length"),
        (encoded(type="goal", rotation=[0, 0, 7]), "invalid", "full turn"),
        (encoded(type="goal", quaternion=[1, 0, 0, 0], heading=1.0), "invalid", "heading"),
        (encoded(type="goal", face="+x", tolerance=0), "invalid", "tolerance"),
        (encoded(type="goal", face="+x", hold=-1), "invalid", "hold"),
        (encoded(type="goal", face="+x", timeout=1e9), "invalid", "timeout"),
        (encoded(type="random_goals", count=1001), "invalid", "count"),
        (encoded(type="random_goals", kind="so2"), "invalid", "kind"),
        (encoded(type="random_goals", max_angle=0), "invalid", "max_angle"),
        (encoded(type="random_goals", max_angle=4), "invalid", "max_angle"),
        (encoded(type="joints", positions={"FFJ3": "0"}), "invalid", "positions"),
        (encoded(type="joints", positions={"FFJ3": 1e308}), "invalid", "positions"),
        (encoded(type="joints", positions=[0.0] * 65), "invalid", "64"),
        (encoded(type="joints", positions=[0.0], speed=0), "invalid", "speed"),
        (encoded(type="joints", positions=[0.0], speed=21), "invalid", "speed"),
        (encoded(type="trajectory", times=[], positions=[]), "invalid", "times"),
        (encoded(type="trajectory", times=[1, 2], positions=[[0]]), "invalid", "2 times for 1 row"),
        (encoded(type="trajectory", times=[0], positions=[[0]]), "invalid", "above 0"),
        (encoded(type="trajectory", times=[2, 1], positions=[[0], [0]]), "invalid", "increase"),
        (encoded(type="trajectory", times=[1], positions=[[True]]), "invalid", "positions"),
    ],
)
def test_errors_are_described(message: bytes, code: str, words: str) -> None:
    refused(message, code, words)


@given(st.binary(max_size=200))
def test_no_bytes_crash(message: bytes) -> None:
    assert answer(message)["ok"] in (True, False)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
members = st.dictionaries(
    st.sampled_from(["quaternion", "face", "heading", "rotation", "goals", "count", "since", "x"]),
    json_values,
    max_size=3,
)


@given(st.sampled_from(TYPES) | json_values, st.integers() | json_values, members)
def test_no_members_crash(kind: object, id: object, rest: dict[str, object]) -> None:
    message = json.dumps({"v": 1, "id": id, "type": kind, **rest}).encode()
    reply = answer(message)
    assert reply["id"] == id if reply["ok"] else reply["error"]["message"]


def test_aims() -> None:
    def aims(**given: object) -> list[Any]:
        request = decode_request(encoded(**given))
        assert isinstance(request, Goal | Goals | RandomGoals)
        return list(request.aims())

    (orientation,) = aims(type="goal", quaternion=[0.7071, 0.7071, 0, 0])
    assert isinstance(orientation, Orientation)
    np.testing.assert_allclose(orientation.quaternion, np.sqrt([0.5, 0.5, 0, 0]), rtol=1e-12)
    (turn, face) = aims(type="goals", goals=[{"rotation": [0, 0, 1]}, {"face": "+x"}])
    assert isinstance(turn, Turn) and turn.rotation.tolist() == [0, 0, 1]
    assert face == FaceUp("+x", None)
    assert aims(type="random_goals") == [RandomGoal("so3", pi)]
    assert aims(type="random_goals", count=3, max_angle=1.5) == [RandomGoal("so3", 1.5)] * 3


@given(st.lists(st.floats(), min_size=4, max_size=4))
def test_a_quaternion_is_unit_or_refused(values: list[float]) -> None:
    if abs(hypot(*values) - 1) < 0.999e-3:
        assert abs(float(np.linalg.norm(unit_quaternion(values))) - 1) < 1e-12
    elif not abs(hypot(*values) - 1) < 1.001e-3:
        with pytest.raises(ValueError, match="unit length"):
            unit_quaternion(values)


def test_nan_is_not_a_quaternion() -> None:
    with pytest.raises(ValueError, match="finite"):
        unit_quaternion([nan, 0, 0, 0])
