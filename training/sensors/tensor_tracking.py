"""`inhand.training.sensors.tracking.TrackedPoses` for tensors: every world in every step.

Which worlds have a new frame is told by masks, so that the host need not wait for the device.
Times and variances are in double precision: a run lasts for days, and variances are small
differences of large terms.
"""

import torch
from torch import Tensor

from inhand.controller.estimation.pose_state import HELD, MotionModel
from inhand.training.mujoco_worlds import tensor_rotations as rotations
from inhand.training.sensors.spread import Spread
from inhand.training.sensors.tensor_draws import Draws
from inhand.training.sensors.tracking import (
    ANGULAR,
    LINEAR,
    POSITION_DEVIATION,
    ROTATION_DEVIATION,
    STEPS_KEPT,
)

POSITION, QUATERNION, CARRIED = slice(0, 3), slice(3, 7), slice(7, 13)
"""Columns of what is kept of past policy steps."""


class TensorPoses:
    """Frames that have not arrived yet, and the pose estimate from those that have.

    Arguments, attributes and methods are those of `TrackedPoses`, with tensors in place of arrays.

    Args:
        n: number of worlds.
        dt: length of a policy step [s].
        like: a tensor of the type and on the device that poses shall have.
        motion: motion model.
    """

    def __init__(self, n: int, dt: float, like: Tensor, motion: MotionModel = HELD) -> None:
        self._dt, self._decay, self._like = dt, motion.decay_time, like
        exact = torch.zeros(n, dtype=torch.float64, device=like.device)
        speeds = exact.new_tensor([[motion.linear_speed], [motion.angular_speed]])
        self._speeds = speeds**2
        nominal = exact.new_tensor([[POSITION_DEVIATION], [ROTATION_DEVIATION]])
        self.deviation = nominal.repeat(1, n)
        self._spread = Spread(
            self.deviation**2, torch.zeros_like(self.deviation), self._speeds.repeat(1, n)
        )
        self._now = 0.0
        self.rate, self.latency = torch.full_like(exact, 15.0), exact.clone()
        self._phase, self._looked, self.captured = exact.clone(), exact.clone(), exact.clone()
        self._past = like.new_zeros((STEPS_KEPT, n, 13))
        self._past[:, :, 3] = 1.0
        self._rows = torch.arange(n, device=like.device)
        self._position, self._quaternion = (
            like.new_zeros((n, 3)),
            self._past[0, :, QUATERNION].clone(),
        )
        self._velocity, self._turning = like.new_zeros((n, 3)), like.new_zeros((n, 3))

    def reset(
        self, rows: Tensor, draws: Draws, true: tuple[Tensor, Tensor], seen: tuple[Tensor, Tensor]
    ) -> None:
        """Restarts the estimates with objects at rest and a random phase of the cameras.

        Args:
            rows: the worlds, (k,).
            draws: source of the phases.
            true: position, (k, 3), and quaternion, (k, 4).
            seen: the same as measured in the first frame.
        """
        self._phase[rows] = draws.uniform(len(rows)).double() / self.rate[rows]
        self._past[:, rows] = torch.cat([*true, true[0].new_zeros((len(rows), 6))], -1)
        self._looked[rows] = self._newest()[rows]
        self.captured[rows] = self._looked[rows]
        # Not written in place: what was estimated before may still be in use.
        self._position = self._position.index_copy(0, rows, seen[0])
        self._quaternion = self._quaternion.index_copy(0, rows, seen[1])
        self._velocity[rows] = self._turning[rows] = 0.0
        pose = self.deviation[:, rows] ** 2
        start = Spread(pose, torch.zeros_like(pose), self._speeds.repeat(1, len(rows)))
        self._spread.put(rows, start)

    def _newest(self) -> Tensor:
        """Capture time of the newest frame that has arrived [s], (n,)."""
        pictures = ((self._now - self.latency - self._phase) * self.rate).floor()
        newest: Tensor = self._phase + pictures / self.rate
        return newest

    def advance(
        self, position: Tensor, quaternion: Tensor, carried: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Advances by one policy step.

        Args:
            position: true, (n, 3).
            quaternion: true, (n, 4).
            carried: shift [m] and rotation [rad] that the hand gave the object in the step, as the
                joint readings tell, world frame, (n, 6).

        Returns:
            Whether a new frame arrived, (n,), and the object's true position, (n, 3), and
            quaternion, (n, 4), at the capture time of the newest frame.
        """
        self._now += self._dt
        self._past = self._past.roll(1, 0)
        self._past[0] = torch.cat([position, quaternion, carried], -1)
        newest = self._newest()
        fresh = newest > self._looked + 1e-6
        self._looked = torch.where(fresh, newest, self._looked)
        age = ((self._now - newest) / self._dt).clamp(0.0, STEPS_KEPT - 1.001)
        step = age.long()
        share = (age - step)[:, None].to(self._like.dtype)
        one, other = self._past[step, self._rows], self._past[step + 1, self._rows]
        before, after = one[:, QUATERNION], other[:, QUATERNION]
        turn = rotations.log(rotations.multiply(after, rotations.conjugate(before)))
        place = (1.0 - share) * one[:, POSITION] + share * other[:, POSITION]
        return fresh, place, rotations.multiply(rotations.exp(share * turn), before)

    def _carried_since(self, t: Tensor) -> Tensor:
        """Shift and rotation that the hand gave the objects since some time [s], (n, 6)."""
        age = ((self._now - t) / self._dt).clamp(0.0, STEPS_KEPT - 0.001)
        step = age.long()
        carried = self._past[:, :, CARRIED]
        # Of the earliest step only the part after `t` counts.
        part = (1.0 - (age - step))[:, None].to(self._like.dtype)
        since: Tensor = carried.cumsum(0)[step, self._rows] - part * carried[step, self._rows]
        return since

    def accept(self, seen: Tensor, position: Tensor, quaternion: Tensor) -> None:
        """Updates the estimates with poses of the newest frames.

        Args:
            seen: the worlds that have one, (n,).
            position: (n, 3); `quaternion`: (n, 4). Where nothing is seen they are not used.
        """
        kind, each = self._like.dtype, seen[:, None]
        span = (self._looked - self.captured).clamp(min=1e-3)
        decayed = (-span / self._decay).exp()
        kept = decayed[:, None].to(kind)
        reach = (self._decay * (1.0 - decayed))[:, None].to(kind)
        spread = self._spread.predicted(span, self._decay, self._speeds)
        after, gains, pulls = spread.measured(self.deviation**2)
        gain, pull = gains[..., None].to(kind), pulls[..., None].to(kind)
        self._spread = Spread(
            torch.where(seen, after.pose, self._spread.pose),
            torch.where(seen, after.mixed, self._spread.mixed),
            torch.where(seen, after.speed, self._spread.speed),
        )
        carried = self._carried_since(self.captured) - self._carried_since(self._looked)
        expected = self._position + reach * self._velocity + carried[:, :3]
        moved = position - expected
        self._position = torch.where(each, expected + gain[LINEAR] * moved, self._position)
        velocity = kept * self._velocity + pull[LINEAR] * moved
        self._velocity = torch.where(each, velocity, self._velocity)
        turn = rotations.exp(reach * self._turning + carried[:, 3:])
        attitude = rotations.multiply(turn, self._quaternion)
        turned = rotations.log(rotations.multiply(quaternion, rotations.conjugate(attitude)))
        corrected = rotations.multiply(rotations.exp(gain[ANGULAR] * turned), attitude)
        self._quaternion = torch.where(each, corrected, self._quaternion)
        turning = kept * self._turning + pull[ANGULAR] * turned
        self._turning = torch.where(each, turning, self._turning)
        self.captured = torch.where(seen, self._looked, self.captured)

    def turning(self) -> Tensor:
        """Predicted present angular velocities, world frame [rad/s], (n, 3)."""
        decayed = (-(self._now - self.captured) / self._decay).exp()[:, None]
        given = self._past[0, :, CARRIED][:, 3:] / self._dt
        present: Tensor = decayed.to(self._like.dtype) * self._turning + given
        return present

    def predict(self) -> tuple[Tensor, Tensor, Tensor]:
        """Predicted present position and quaternion, and age of the last pose [s], (n,)."""
        kind = self._like.dtype
        age = self._now - self.captured
        reach = (self._decay * -torch.expm1(-age / self._decay))[:, None].to(kind)
        carried = self._carried_since(self.captured)
        turn = rotations.exp(reach * self._turning + carried[:, 3:])
        turned = rotations.multiply(turn, self._quaternion)
        moved = self._position + reach * self._velocity + carried[:, :3]
        return moved, turned, age.to(kind)
