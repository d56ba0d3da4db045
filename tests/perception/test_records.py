"""The records' wire form."""

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inhand.perception.errors import PerceptionError
from inhand.perception.records import CameraStatus, TagCorners, decode, encode, frozen_array

finite = st.floats(-1e6, 1e6)


@st.composite
def tag_corners(draw: st.DrawFn) -> TagCorners:
    ids = tuple(draw(st.lists(st.integers(0, 586), unique=True, max_size=6)))
    return TagCorners(
        t=draw(finite),
        camera=draw(st.text(max_size=20)),
        ids=ids,
        corners=frozen_array(draw(arrays(np.float64, (len(ids), 4, 2), elements=finite))),
        noise=draw(st.floats(1e-3, 10.0)),
    )


@given(tag_corners())
def test_tag_corners_survive_the_wire_exactly(record: TagCorners) -> None:
    received = decode(encode(record))
    assert isinstance(received, TagCorners)
    assert (received.t, received.camera, received.ids) == (
        record.t,
        record.camera,
        record.ids,
    )
    assert received.noise == record.noise
    np.testing.assert_array_equal(received.corners, record.corners)
    assert not received.corners.flags.writeable


def test_a_status_survives_the_wire_with_an_infinite_age() -> None:
    status = CameraStatus(3.5, "left", 7, math.inf, 14.9, 0.004, "no frame for 2.0 s")
    assert decode(encode(status)) == status


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_never_crashes(message: bytes) -> None:
    with pytest.raises(PerceptionError, match="camera message"):
        decode(message)


@pytest.mark.parametrize(
    "change",
    [{"corners": b"\0" * 63}, {"t": math.nan}, {"noise": 0.0}, {"ids": (1, 2)}],
)
def test_a_contradictory_message_is_refused(change: dict[str, object]) -> None:
    record = TagCorners(1.0, "left", (1,), frozen_array(np.ones((1, 4, 2))), 0.1)
    fields = msgspec.msgpack.decode(encode(record))
    with pytest.raises(PerceptionError, match="left"):
        decode(msgspec.msgpack.encode({**fields, **change}))


def test_corners_that_are_not_finite_are_refused() -> None:
    record = TagCorners(1.0, "left", (1,), frozen_array(np.full((1, 4, 2), np.nan)), 0.1)
    with pytest.raises(PerceptionError, match="finite"):
        decode(encode(record))


def test_vertices_travel_and_damaged_ones_are_refused() -> None:
    vertices = np.arange(24.0).reshape(8, 3) + 1.0
    record = TagCorners(1.0, "left", (), np.empty((0, 4, 2)), 1.0, vertices)
    again = decode(encode(record))
    assert isinstance(again, TagCorners)
    assert again.seen
    assert again.vertices is not None
    assert np.array_equal(again.vertices, vertices)
    assert not replace(record, vertices=None).seen
    for wrong in (vertices * np.nan, vertices * [1, 1, -1], vertices[:0], vertices[:, :2]):
        with pytest.raises(PerceptionError, match="'left'"):
            decode(encode(replace(record, vertices=wrong)))
