"""Camera vote: finds a camera that was moved by comparing the poses of each camera alone.

A camera that was moved shows the object elsewhere than the others do, always by the same rigid
motion: its turn about the lens, and its shift. For each pair of cameras this motion is estimated
from pairs of poses by weighted least squares. If one camera contradicts all others, and they
agree, it is the one that was moved; its place is corrected. Two cameras alone can only be said to
contradict each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from inhand.controller.estimation.pose_state import PoseCandidate, PoseMeasurement
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.records import CameraFit, frozen_array
from inhand.perception.rotations import Array

HURRIED, CALM = 0.06, 1.0
"""Least time between two comparisons of a pair of cameras: until it is judged, and then [s]."""
SPAN = 0.2
"""Largest time between two poses of a camera from which a pose between them is interpolated [s]."""
EVIDENCE, CLEAR = 12.0, 5.0
"""Number of comparisons from which a pair of cameras is judged: usually, and if the displacement is
clear: `CLEARLY` times what counts as a contradiction, or none."""
CLEARLY = 4.0
LASTING = 16.0
"""Number of comparisons from which a contradiction is told if no camera can be blamed for it."""
MEMORY = 30.0
"""Number of comparisons after which an old one has a weight of 1/e."""
NOTICEABLE = 0.0025
"""Least displacement at the object that is a contradiction [m]: at 0.4 m, a turn of 0.35°."""
DECLARED = 3.0
"""Displacement that counts as a contradiction, in declared standard deviations of the cameras."""
PRIOR = np.repeat([0.1, 0.01], 3)
"""Standard deviations of turn [rad] and shift [m] of a moved camera: it is more likely turned."""
LARGEST_TURN, LARGEST_SHIFT = np.radians(10.0), 0.08
"""Up to this turn [rad] and shift [m] a camera is corrected; beyond it is not used."""
STRANGE, IN_A_ROW = 30.0, 4
"""A pair is compared anew after so many comparisons in a row whose squared Mahalanobis distance to
those before is larger: one of the cameras has just been moved."""
LEFT_OVER = np.repeat([0.002, 0.0005], 3)
"""Standard deviations of a corrected camera: turn [rad], place [m]."""
INTERPOLATION = 0.3
"""Error of an interpolated pose as a share of the motion between the two poses."""


class CameraVote:
    """Compares cameras, and keeps the pose of each.

    Args:
        cameras: the rig as calibrated.
    """

    def __init__(self, cameras: Mapping[str, Camera]) -> None:
        self._cameras = cameras
        pairs = list(combinations(cameras, 2))
        # Latest poses of each camera alone, oldest first.
        self._poses: dict[str, list[PoseMeasurement]] = {name: [] for name in cameras}
        self._compared = dict.fromkeys(pairs, -np.inf)
        # Normal equations of the first camera's turn and shift against the second, and back.
        self._sums = {(one, other): np.zeros((6, 7)) for a in pairs for one, other in (a, a[::-1])}
        self._counts = dict.fromkeys(pairs, 0.0)
        self._strange = dict.fromkeys(pairs, 0)
        self._bad: tuple[tuple[str, str], ...] = ()
        # Position and quaternion of cameras that were moved.
        self._places: dict[str, Array] = {}
        self.fits: tuple[CameraFit, ...] = ()

    @property
    def rig(self) -> Mapping[str, Camera]:
        """The cameras where they are, as far as known."""
        if not self._places:
            return self._cameras
        return {name: self._placed(camera) for name, camera in self._cameras.items()}

    @property
    def settled(self) -> bool:
        """Whether all pairs of cameras that see the object together are judged."""
        return all(count >= EVIDENCE for count in self._counts.values() if count)

    def used(self, name: str) -> bool:
        """Whether a camera's frames can be used: it was not moved too far."""
        return all(fit.used for fit in self.fits if fit.camera == name)

    def due(self, names: Sequence[str], t: float) -> bool:
        """Whether these cameras are to be compared at `t` [s], as they saw the object together."""
        pairs = [pair for pair in self._compared if pair[0] in names and pair[1] in names]
        return any(t - self._compared[pair] >= self._wait(pair) for pair in pairs)

    def note(self, name: str, t: float, pose: PoseCandidate) -> None:
        """Takes the pose that a camera alone has seen at `t` [s]."""
        own = self._poses[name]
        if own and t <= own[-1].t:
            return
        self._poses[name] = own = [*own[-1:], PoseMeasurement(t, (pose,))]
        compared = False
        for other, theirs in self._poses.items():
            if other != name and theirs:
                compared |= self._compare(name, own, other, theirs)
        if compared:
            self._judge()

    def _wait(self, pair: tuple[str, str]) -> float:
        """Least time from one comparison of a pair to the next [s]."""
        needed = LASTING if pair in self._bad else EVIDENCE
        return HURRIED if self._counts[pair] < needed else CALM

    def _placed(self, camera: Camera) -> Camera:
        place = self._places.get(camera.name)
        if place is None:
            return camera
        return replace(
            camera,
            position=frozen_array(place[:3]),
            quaternion=frozen_array(place[3:]),
            position_sigma=max(camera.position_sigma, float(LEFT_OVER[3])),
            rotation_sigma=max(camera.rotation_sigma, float(LEFT_OVER[0])),
        )

    def _compare(
        self,
        name: str,
        own: Sequence[PoseMeasurement],
        other: str,
        theirs: Sequence[PoseMeasurement],
    ) -> bool:
        """Compares the other camera's latest pose with one interpolated between the own two."""
        pair = (name, other) if (name, other) in self._compared else (other, name)
        seen, now = theirs[-1], own[-1]
        before = own[0] if len(own) > 1 else now
        if seen.t == now.t:
            before = now
        inside = before.t <= seen.t <= now.t and now.t - before.t <= SPAN
        if not inside or seen.t - self._compared[pair] < self._wait(pair):
            return False
        self._compared[pair] = seen.t
        place = _between(before, now, seen.t)
        there = seen.candidates[0]
        turn = rotations.log(
            rotations.multiply(there.quaternion, rotations.conjugate(place.quaternion))
        )
        apart = np.concatenate([turn, there.position - place.position])
        spread = place.covariance + there.covariance
        # Covariances are of position and rotation, the motion of a camera is turn and shift.
        weight = np.asarray(np.linalg.inv(np.roll(spread, 3, axis=(0, 1))), dtype=np.float64)
        self._strange[pair] += 1
        rig = self.rig
        for mover, sign in (((other, name), 1.0), ((name, other), -1.0)):
            away = there.position - rig[mover[0]].position
            if self._add(mover, _motion(away), sign * apart, weight) < STRANGE:
                self._strange[pair] = 0
        if self._strange[pair] >= IN_A_ROW:
            self._forget(pair)
        self._counts[pair] += 1.0 - self._counts[pair] / MEMORY
        return True

    def _forget(self, pair: tuple[str, str]) -> None:
        """Begins the comparison of a pair anew."""
        self._sums[pair], self._sums[pair[::-1]] = np.zeros((6, 7)), np.zeros((6, 7))
        self._counts[pair], self._strange[pair] = 0.0, 0

    def _add(self, pair: tuple[str, str], motion: Array, apart: Array, weight: Array) -> float:
        """Adds a comparison; returns its squared Mahalanobis distance to those before."""
        sums = self._sums[pair]
        left = apart - motion @ _solved(sums)
        # An outlier has little weight (Cauchy).
        distance = float(left @ weight @ left)
        trust = 1.0 / (1.0 + distance / 54.0)
        rows = motion.T @ weight * trust
        sums *= 1.0 - 1.0 / MEMORY
        sums[:, :6] += rows @ motion
        sums[:, 6] += rows @ apart
        return distance

    def _judge(self) -> None:
        """Finds the camera that was moved, if there is one."""
        seen = {pair for pair, count in self._counts.items() if count >= CLEAR}
        apart = {pair: self._apart(pair) for pair in seen}
        share = {pair: apart[pair] / self._tolerable(pair) for pair in seen}
        bad = {
            pair
            for pair in seen
            if share[pair] > (1.0 if self._counts[pair] >= EVIDENCE else CLEARLY)
        }
        agreed = {pair for pair in seen if share[pair] <= 1.0}
        self._bad = tuple(sorted(bad))
        moved = ""
        for name in self._cameras:
            # All pairs with it are bad, and all others agree.
            own = {pair for pair in self._counts if name in pair}
            if len(own & bad) >= 2 and seen - own and bad <= own and own & seen <= bad:
                moved = name if seen - own <= agreed else moved
        if moved:
            self._correct(moved)
        fits = []
        for name, camera in self._cameras.items():
            others = [apart[pair] for pair in seen if name in pair and moved not in pair]
            against = {
                other
                for pair in bad
                if name in pair and not moved and self._counts[pair] >= LASTING
                for other in pair
                if other != name
            }
            turn, shift = self._moved(camera)
            used = bool(turn <= LARGEST_TURN and shift <= LARGEST_SHIFT)
            residual = float(np.median(others)) if others else 0.0
            fits.append(CameraFit(name, residual, turn, shift, used, tuple(sorted(against))))
        self.fits = tuple(fits)

    def _apart(self, pair: tuple[str, str]) -> float:
        """How far two cameras show the object apart: displacement at the object [m]."""
        one, other = pair
        found = _solved(self._sums[pair])
        away = self._poses[one][-1].candidates[0].position - self.rig[one].position
        return float(np.linalg.norm((_motion(away) @ found)[3:]))

    def _tolerable(self, pair: tuple[str, str]) -> float:
        """Displacement that the declared deviations of two cameras explain [m]."""
        variance = 0.0
        for name in pair:
            camera = self.rig[name]
            away = self._poses[name][-1].candidates[0].position - camera.position
            lever = float(np.linalg.norm(away))
            variance += camera.position_sigma**2 + (camera.rotation_sigma * lever) ** 2
            variance += (camera.focal_sigma * lever) ** 2
        return max(NOTICEABLE, DECLARED * float(np.sqrt(variance)))

    def _displaced(self, name: str) -> float:
        """Displacement at the object by a camera's motion since its calibration [m]."""
        camera = self._cameras[name]
        lever = np.linalg.norm(self._poses[name][-1].candidates[0].position - camera.position)
        turn, shift = self._moved(camera)
        return turn * float(lever) + shift

    def _moved(self, camera: Camera) -> tuple[float, float]:
        """Angle [rad] and distance [m] by which a camera was moved since its calibration."""
        place = self._places.get(camera.name)
        if place is None:
            return 0.0, 0.0
        turn = float(rotations.angle_between(place[3:], camera.quaternion))
        return turn, float(np.linalg.norm(place[:3] - camera.position))

    def _correct(self, name: str) -> None:
        """Moves a camera to where the others say that it is."""
        own = [pair for pair in self._sums if pair[0] == name]
        found = _solved(np.sum([self._sums[pair] for pair in own], axis=0))
        camera = self.rig[name]
        back = rotations.exp(-found[:3])
        position = camera.position - rotations.rotate(back, found[3:])
        quaternion = rotations.normalize(rotations.multiply(back, camera.quaternion))
        self._places[name] = np.concatenate([position, quaternion])
        if self._displaced(name) < NOTICEABLE:
            # It was put back.
            del self._places[name]
        self._poses[name] = []
        for pair in self._counts:
            if name in pair:
                self._forget(pair)


def _between(before: PoseMeasurement, after: PoseMeasurement, t: float) -> PoseCandidate:
    """The pose of a camera at a time `t` [s] between two of its poses."""
    one, other = before.candidates[0], after.candidates[0]
    if after.t == before.t:
        return other
    share = (t - before.t) / (after.t - before.t)
    turn = rotations.log(rotations.multiply(other.quaternion, rotations.conjugate(one.quaternion)))
    shift = other.position - one.position
    quaternion = rotations.multiply(rotations.exp(share * turn), one.quaternion)
    missing = (INTERPOLATION * min(share, 1 - share)) ** 2
    motion = missing * np.repeat([shift @ shift, turn @ turn], 3)
    covariance = (1 - share) ** 2 * one.covariance + share**2 * other.covariance + np.diag(motion)
    return PoseCandidate(one.position + share * shift, quaternion, covariance)


def _motion(away: Array) -> Array:
    """Apparent turn and displacement by a camera's turn and shift, (6, 6).

    Args:
        away: from the lens to the object [m], (3,).
    """
    x, y, z = away.tolist()
    motion = np.eye(6)
    # The displacement by a turn is turn x away.
    motion[3:, :3] = [[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]]
    return motion


def _solved(sums: Array) -> Array:
    """Turn [rad] and shift [m] by normal equations, with the prior, (6,)."""
    information = sums[:, :6] + np.diag(PRIOR**-2.0)
    return np.asarray(np.linalg.solve(information, sums[:, 6]), dtype=np.float64)
