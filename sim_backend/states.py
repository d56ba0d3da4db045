"""Messages with the world's state for the renderer, which uses the newest."""

from pathlib import Path

import msgspec
import numpy as np
import zmq

from inhand.perception.rotations import Array

STATE_RATE = 100.0
"""Rate of states published for the renderer [Hz]."""


class WorldState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Visible state at one instant.

    Attributes:
        t: simulated or monotonic time of the state [s].
        joints: joint angles in the hand's joint order [rad].
        position: object, world frame [m].
        quaternion: world from object, wxyz.
    """

    t: float
    joints: tuple[float, ...]
    position: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(WorldState)


def encode_state(t: float, joints: Array, position: Array, quaternion: Array) -> bytes:
    """Packs a state for the wire (JSON)."""
    return _encoder.encode(
        WorldState(
            t=float(t),
            joints=tuple(np.asarray(joints, dtype=np.float64).tolist()),
            position=tuple(np.asarray(position, dtype=np.float64).tolist()),
            quaternion=tuple(np.asarray(quaternion, dtype=np.float64).tolist()),
        )
    )


def decode_state(message: bytes) -> WorldState:
    """Decodes a message of `encode_state`.

    Raises:
        msgspec.DecodeError: the message is not a state.
    """
    return _decoder.decode(message)


def states_address(directory: Path) -> str:
    """Address at which a world publishes its states."""
    return f"ipc://{directory}/world-states.sock"


def bind_states(directory: Path) -> zmq.Socket[bytes]:
    """A socket to publish states on."""
    # XPUB, unlike PUB, reports subscriptions.
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.XPUB)
    socket.set(zmq.LINGER, 0)
    socket.bind(states_address(directory))
    return socket
