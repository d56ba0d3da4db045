"""What a tick consumed and what came of it, as one record: the unit of recording and replay."""

import socket
from collections.abc import Sequence
from operator import attrgetter, sub
from typing import Any

import msgspec
import numpy as np

from inhand.controller.core.records import Event, Outputs, Snapshot
from inhand.controller.core.requests import AnyRequest
from inhand.controller.ipc.request_queue import PendingRequest
from inhand.controller.recording.checkpoint import Checkpoint, capture
from inhand.hardware.records import Array, JointState, frozen_array
from inhand.perception.records import TagCorners

CHECKPOINT_PERIOD = 5.0
"""Time between two checkpoints, from which a replay can begin [s]."""

PARTS = ("lateness", "read", "think", "write")
"""Names of the times between the instants of `Times`, in their order."""

MAX_RECORD = 1 << 20
"""Size of the largest record [bytes]; a larger one counts as lost."""
_SEND_BUFFER = MAX_RECORD
_FLOAT = np.dtype("<f8")
_outputs_of = attrgetter(*Outputs.__struct_fields__)


class RecordedRequest(msgspec.Struct, frozen=True, array_like=True):
    """A request that was carried out before the tick.

    Attributes:
        request: what was asked.
        policy_sha256: of the policy that came with it, if any.
    """

    request: AnyRequest
    policy_sha256: str = ""


class Inputs(msgspec.Struct, frozen=True, array_like=True):
    """Everything that the controller took in, in the order in which it did.

    Attributes:
        line: what is wrong with the emergency stop line, empty if nothing is; None without a line.
        requests: those that were carried out before the tick.
        t: time of the tick, after the joints were read [s].
        joints: what was read; None if the read failed.
        corners: what the cameras delivered since the last tick.
        sent: targets that the servos were really told [rad], (n_actuators,); None if none were.
        happenings: what the shell reported after the tick, with its reason.
        earlier: what it reported before the requests.
    """

    line: str | None
    requests: list[RecordedRequest]
    t: float
    joints: JointState | None
    corners: list[TagCorners]
    sent: Array | None = None
    happenings: list[tuple[str, str]] = []
    earlier: list[tuple[str, str]] = []


class Times(msgspec.Struct, frozen=True, array_like=True):
    """When the tick was where [s, CLOCK_MONOTONIC]."""

    deadline: float
    woken: float
    read: float
    thought: float
    written: float

    def parts(self) -> dict[str, float]:
        """The time between each instant and the next [s], by the names in `PARTS`."""
        instants = msgspec.structs.astuple(self)
        return dict(zip(PARTS, map(sub, instants[1:], instants), strict=True))


class TickRecord(msgspec.Struct, frozen=True, array_like=True, tag="tick"):
    """One tick. What the recorder looks at comes first."""

    n: int
    t: float
    events: list[Event]
    inputs: Inputs
    outputs: Outputs
    times: Times


class CheckpointRecord(msgspec.Struct, frozen=True, array_like=True, tag="checkpoint"):
    """The controller's whole state between tick `n` and the next."""

    n: int
    t: float
    policy_sha256: str
    state: Checkpoint


Record = TickRecord | CheckpointRecord


def _pack(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.shape, np.ascontiguousarray(value, dtype=_FLOAT).tobytes()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be recorded")


def _unpack(_: Any, value: Any) -> Array:
    shape, data = value
    return frozen_array(np.frombuffer(data, dtype="<f8").reshape(shape))


pack = msgspec.msgpack.Encoder(enc_hook=_pack).encode
"""Packs a record or a part of one (MessagePack); arrays as shape and little-endian float64."""

decode = msgspec.msgpack.Decoder(Record, dec_hook=_unpack).decode
"""Unpacks what `pack` made."""


def outputs(snapshot: Snapshot) -> Outputs:
    """The part of a snapshot that is recorded as the tick's outputs."""
    return Outputs(*_outputs_of(snapshot))


def snapshot_of(record: TickRecord) -> Snapshot:
    """The snapshot after a recorded tick; what is not recorded with each tick is left empty."""
    joints = record.inputs.joints
    return Snapshot(
        *_outputs_of(record.outputs),
        t=record.t,
        joints=joints,
        joint_times=np.zeros(0) if joints is None else np.full(len(joints.position), joints.t),
        order=None,
        policy="",
        policy_sha256="",
    )


def recorded_requests(requests: Sequence[PendingRequest]) -> list[RecordedRequest]:
    """The requests as a record holds them."""
    return [
        RecordedRequest(pending.request, pending.policy.sha256 if pending.policy else "")
        for pending in requests
    ]


class RecordSender:
    """The tick's end of the line to the recorder: sends, and never waits.

    Attributes:
        lost: records that the recorder did not take in time.
        unwritten: records that the recorder took but could not write.
        problem: why there are no checkpoints; empty if there are.
    """

    def __init__(self, line: socket.socket) -> None:
        """Takes a SOCK_SEQPACKET socket, whose other end the recorder reads."""
        line.setblocking(False)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self.lost = self.unwritten = 0
        self.problem = ""
        self._line = line
        self._n = 0
        self._next_checkpoint = 0.0
        self._broken = False

    def write(
        self,
        inputs: Inputs,
        snapshot: Snapshot,
        events: Sequence[Event],
        times: Times,
    ) -> None:
        """Records a tick; one that cannot be packed raises, and counts as lost."""
        self._n += 1
        try:
            record = TickRecord(self._n, snapshot.t, list(events), inputs, outputs(snapshot), times)
            packed = pack(record)
        except Exception:
            self._lose()
            raise
        self._send(packed)

    def checkpoint(self, core: object, snapshot: Snapshot) -> None:
        """Records the controller's whole state, if it is time to."""
        if snapshot.t < self._next_checkpoint or self.problem:
            return
        self._next_checkpoint = snapshot.t + CHECKPOINT_PERIOD
        try:
            state = capture(core)
            packed = pack(CheckpointRecord(self._n, snapshot.t, snapshot.policy_sha256, state))
        except TypeError as error:
            self.problem = str(error)
            return
        if len(packed) > MAX_RECORD:
            self.problem = f"the controller's state is too large: {len(packed)} bytes"
            return
        self._send(packed)

    def _lose(self) -> None:
        self.lost += 1
        self._broken = True

    def _send(self, record: bytes) -> None:
        if len(record) > MAX_RECORD:
            self._lose()
            return
        try:
            self._line.send(record)
        except OSError:
            # Full or gone: the tick has no time for either.
            self._lose()
            return
        if self._broken:
            # What follows a gap can be replayed from a checkpoint only.
            self._broken, self._next_checkpoint = False, 0.0
