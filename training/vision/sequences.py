"""Errors of a network's poses in sequences of pictures in MuJoCo, for evaluation in lockstep."""

from collections.abc import Mapping

import numpy as np

from inhand.controller.estimation.frame_poses import agreed, candidates_of
from inhand.controller.estimation.outlier_gate import FusionSettings
from inhand.hardware.model.hand import Hand
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.keypoints.detector import AT_ONCE, RINGS, VertexDetector
from inhand.perception.keypoints.network import VertexNetwork
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.refine_pose import Pose
from inhand.perception.rotations import Array
from inhand.training.sensors.measured_errors import MeasuredErrors
from inhand.training.vision.states import States
from inhand.training.vision.studio import PictureStudio, worn

BEFORE = -(-((2 * RINGS + 1) ** 2) // AT_ONCE) + 1
"""How often the first picture of a sequence is shown before: the object is searched only then."""


def measure_errors(
    network: VertexNetwork,
    hand: Hand,
    target: ObjectDescription,
    cameras: Mapping[str, Camera],
    trials: list[States],
    seed: int,
    source: str,
) -> MeasuredErrors:
    """Follows the object through pictures of trials, as the processes of the cameras do.

    Looks, light, and what the cameras make of it are the same in all pictures of a trial.

    Args:
        network: of the object.
        hand: the hand.
        target: the object.
        cameras: the rig.
        trials: states of each trial, in order.
        seed: of looks.
        source: what the file says of its origin.

    Raises:
        InhandError: there is no renderer, or the network does not fit the cameras.
    """
    center, settings = np.array(hand.workspace.center), FusionSettings()
    sequence, views, seen = list[int](), list[Array](), list[bool]()
    errors, covariances = list[Array](), list[Array]()
    with PictureStudio(hand, target) as studio:
        for number, states in enumerate(trials):
            rng = np.random.default_rng((seed, number))
            wear = dict(zip(cameras, rng.integers(0, 2**31, len(cameras)).tolist(), strict=True))
            studio.dress(rng, states.positions[0])
            eyes = {
                name: VertexDetector(camera, target, network, center)
                for name, camera in cameras.items()
            }
            guess: Pose | None = None
            for i in [0] * BEFORE + list(range(len(states.positions))):
                studio.place(states.joints[i], states.positions[i], states.quaternions[i])
                frames = [
                    eyes[name].detect(
                        worn(studio.render(camera), np.random.default_rng(wear[name])), float(i)
                    )
                    for name, camera in cameras.items()
                ]
                poses, _ = agreed(target, cameras, frames, guess)
                sequence.append(number)
                views.append(states.quaternions[i])
                seen.append(bool(poses))
                errors.append(np.zeros(6))
                covariances.append(np.zeros((6, 6)))
                if poses:
                    (pose, *_) = candidates_of(poses, settings)
                    guess = pose.position, rotations.to_matrix(pose.quaternion)
                    away = rotations.multiply(
                        pose.quaternion, rotations.conjugate(states.quaternions[i])
                    )
                    errors[-1] = np.concatenate(
                        [pose.position - states.positions[i], rotations.log(away)]
                    )
                    covariances[-1] = pose.covariance
            for part in (sequence, views, seen, errors, covariances):
                del part[len(part) - len(states.positions) - BEFORE : -len(states.positions)]
    return MeasuredErrors(
        np.array(sequence),
        np.array(views),
        np.array(seen),
        np.array(errors),
        np.array(covariances),
        source,
    )
