"""A hand without physics: servos that follow, a block that turns to its goal, exact corners.

It costs a fraction of a millisecond a tick, so that hours of the controller are cheap.
"""

import numpy as np

from inhand.controller.core.records import Snapshot
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import JointState, Targets, frozen_array
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.records import TagCorners

FRAME_PERIOD = 1 / 15
"""Between two frames of a camera [s]."""

TURNING = 1.5
"""How fast the block turns to its goal [rad/s]."""

_LATENCY = 0.03
_FACING = 0.35


class KinematicHand:
    """Hand and block, moved on from tick to tick.

    Attributes:
        position: of the block, world frame [m], (3,).
        quaternion: of the block, world from object, wxyz, (4,).
        silence: how likely each servo is not to answer.
    """

    def __init__(
        self, hand: Hand, target: ObjectDescription, cameras: dict[str, Camera], seed: int = 1
    ) -> None:
        self.position = np.array(hand.workspace.object_start)
        self.quaternion = rotations.IDENTITY
        self.silence = 0.0
        self._hand, self._target, self._cameras = hand, target, cameras
        self._servos = hand.rest.copy()
        self._rng = np.random.default_rng(seed)
        self._next_frame = 0.0
        self._underway: list[TagCorners] = []
        self._t = 0.0

    def move(self, t: float, snapshot: Snapshot, targets: Targets | None) -> None:
        """Lets servos and block go on until `t` [s]."""
        dt, self._t = min(t - self._t, 0.1), t
        if snapshot.torque and targets is not None:
            self._servos = self._servos + 0.4 * (targets.position - self._servos)
        if snapshot.goal is not None:
            to_go = rotations.log(
                rotations.multiply(snapshot.goal.quaternion, rotations.conjugate(self.quaternion))
            )
            angle = float(np.linalg.norm(to_go))
            step = to_go * min(1.0, TURNING * dt / max(angle, 1e-9))
            self.quaternion = rotations.normalize(
                rotations.multiply(rotations.exp(step), self.quaternion)
            )

    def joints(self) -> JointState:
        """What the servos measure now."""
        zeros = frozen_array(np.zeros(self._hand.n_actuators))
        noisy = self._servos + 1e-4 * self._rng.standard_normal(self._hand.n_actuators)
        silent = np.zeros(len(noisy), np.bool_)
        if self.silence:
            silent = self._rng.random(len(noisy)) < self.silence
        position = frozen_array(np.where(silent, np.nan, noisy))
        still = frozen_array(np.where(silent, np.nan, zeros))
        warm, volts = frozen_array(30.0 + zeros), frozen_array(5.0 + zeros)
        return JointState(self._t, position, still, still, warm, volts)

    def corners(self) -> list[TagCorners]:
        """What the camera processes deliver now: frames that are 30 ms old."""
        if self._t >= self._next_frame:
            self._next_frame = self._t + FRAME_PERIOD
            self._underway += [self._seen(name, camera) for name, camera in self._cameras.items()]
        due = [frame for frame in self._underway if frame.t <= self._t - _LATENCY]
        self._underway = [frame for frame in self._underway if frame.t > self._t - _LATENCY]
        return due

    def _seen(self, name: str, camera: Camera) -> TagCorners:
        ids, corners = [], []
        for tag in self._target.tags:
            points = self.position + rotations.rotate(self.quaternion, tag.corners)
            normal = np.cross(points[1] - points[0], points[3] - points[0])
            towards = camera.position - points.mean(axis=0)
            facing = abs(normal @ towards) / np.linalg.norm(normal) / np.linalg.norm(towards)
            outward = (points.mean(axis=0) - self.position) @ towards
            if outward > 0 and facing > _FACING:
                ids.append(tag.id)
                corners.append(camera.project(points))
        noisy = np.array(corners).reshape(-1, 4, 2)
        noisy = noisy + 0.1 * self._rng.standard_normal(noisy.shape)
        return TagCorners(self._t, name, tuple(ids), frozen_array(noisy), 0.1)
