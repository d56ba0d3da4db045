"""Message with the world's state for the renderer, which uses the newest."""

import msgspec
import numpy as np

from inhand.perception.rotations import Array


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
