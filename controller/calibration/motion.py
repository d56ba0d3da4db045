"""Motion of a link and the tags that cameras saw, from a recording."""

import numpy as np

from inhand.controller.estimation.hand_motion import palm
from inhand.controller.recording.reader import Recording
from inhand.controller.recording.tick_record import TickRecord
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import link_poses
from inhand.perception import rotations
from inhand.perception.calibration.link_motion import LinkMotion
from inhand.perception.cameras import CameraError
from inhand.perception.records import TagCorners


def fixed_link(hand: Hand, name: str) -> int:
    """Index of the link that the object is fixed to; of the palm if none is named.

    Raises:
        CameraError: there is no such link, or the palm does not move.
    """
    if not name:
        moved = palm(hand)
        if moved is None:
            raise CameraError(
                f"the palm of hand {hand.name!r} does not move; fix the object to a link that "
                f"does, and name it with --link: {', '.join(hand.link_names)}"
            )
        return moved
    if name not in hand.link_names:
        raise CameraError(
            f"hand {hand.name!r} has no link {name!r}; it has {', '.join(hand.link_names)}"
        )
    return hand.link_names.index(name)


def read_motion(
    recording: Recording, hand: Hand, link: int
) -> tuple[LinkMotion, dict[str, list[TagCorners]]]:
    """Motion of a link and the tags that the cameras saw, from a recording.

    Args:
        recording: the recording.
        hand: that it was made with.
        link: index of the link.

    Returns:
        motion: of the link, from the encoders.
        frames: by camera, in the order in which they came.

    Raises:
        CameraError: the joints were read less than twice.
    """
    times: list[float] = []
    angles = []
    frames: dict[str, list[TagCorners]] = {}
    for record in recording.records():
        if not isinstance(record, TickRecord):
            continue
        joints = record.inputs.joints
        if joints is not None and (not times or joints.t > times[-1]):
            times.append(joints.t)
            angles.append(joints.position)
        for frame in record.inputs.corners:
            frames.setdefault(frame.camera, []).append(frame)
    if len(times) < 2:
        raise CameraError(f"recording {recording.path}: the joints were read {len(times)} times")
    turns, places = link_poses(hand, hand.joint_angles(np.array(angles)))
    quaternions = rotations.from_matrix(turns[:, link])
    return LinkMotion(np.array(times), places[:, link], quaternions), frames
