"""Goals: what may be asked for, the queue of them, and when one counts as reached."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription
from inhand.perception.records import ObjectPose
from inhand.perception.rotations import Array

CONFIRMATION_AGE = 0.2
"""A goal counts as reached only on a pose that was measured this recently [s]."""

_UP = np.array([0.0, 0.0, 1.0])


class Orientation(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """World from object, wxyz, (4,)."""

    quaternion: Array


class FaceUp(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A face of the object upward.

    Attributes:
        face: its name in the object's description.
        heading: rotation about the vertical from the orientation in which the face was turned
            up from the object's own frame along the shortest way [rad]; None turns the face up
            along the shortest way from where the object is.
    """

    face: str
    heading: float | None = None


class Turn(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A rotation from where the object is when the goal begins: world frame vector [rad], (3,)."""

    rotation: Array


class RandomGoal(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Drawn when the goal begins.

    Attributes:
        kind: `so3`, uniform over all orientations, or `face-up`, any face up with any heading.
        max_angle: for `so3`, the largest rotation from where the object is [rad].
    """

    kind: Literal["so3", "face-up"] = "so3"
    max_angle: float = np.pi


Aim = Orientation | FaceUp | Turn | RandomGoal


@dataclass(frozen=True)
class Order:
    """One goal in the queue.

    Attributes:
        number: counts all goals that were ever asked for.
        aim: what was asked for.
        tolerance: largest error that counts as reached [rad].
        hold: how long the error must stay below that [s].
        timeout: when to give up and go on to the next goal [s]; 0 never gives up.
    """

    number: int
    aim: Aim
    tolerance: float
    hold: float
    timeout: float


@dataclass(frozen=True)
class ActiveGoal:
    """The goal that is being worked on.

    Attributes:
        order: what was asked for.
        quaternion: the orientation that it came to, world from object, wxyz, (4,).
        started: when it began [s].
        error: angle still to go [rad].
        within_since: since when the error has been within tolerance [s]; None if it is not.
    """

    order: Order
    quaternion: Array
    started: float
    error: float
    within_since: float | None = None


@dataclass(frozen=True)
class Outcome:
    """Something that happened to a goal."""

    kind: Literal["started", "reached", "missed"]
    goal: ActiveGoal
    t: float


def resolve(
    aim: Aim, quaternion: Array, target: ObjectDescription, rng: np.random.Generator
) -> Array:
    """The orientation an aim comes to, from where the object is; both wxyz, (4,)."""
    match aim:
        case Orientation():
            return aim.quaternion
        case FaceUp(face, None):
            normal = rotations.rotate(quaternion, target.faces[face])
            return rotations.multiply(shortest_turn(normal, _UP), quaternion)
        case FaceUp(face, heading):
            about_vertical = rotations.exp(_UP * heading)
            return rotations.multiply(about_vertical, shortest_turn(target.faces[face], _UP))
        case Turn():
            return rotations.multiply(rotations.exp(aim.rotation), quaternion)
        case RandomGoal("so3"):
            return rotations.multiply(random_rotation(rng, aim.max_angle), quaternion)
        case _:
            face = tuple(target.faces)[rng.integers(len(target.faces))]
            heading = rng.uniform(-np.pi, np.pi)
            return resolve(FaceUp(face, heading), quaternion, target, rng)


def shortest_turn(one: Array, other: Array) -> Array:
    """The smallest rotation, wxyz (4,), that takes one unit vector to another, (3,) each."""
    cosine = float(one @ other)
    if cosine < -1 + 1e-9:
        # Opposite: any axis across does.
        across = np.cross(one, np.eye(3)[np.argmin(np.abs(one))])
        return rotations.exp(np.pi * across / np.linalg.norm(across))
    return rotations.normalize(np.concatenate([[1 + cosine], np.cross(one, other)]))


def random_rotation(rng: np.random.Generator, max_angle: float) -> Array:
    """Uniform over the rotations by at most `max_angle` [rad]; wxyz, (4,)."""
    if max_angle >= np.pi:
        return rotations.random_quaternion(rng)
    # Under the uniform measure the angle θ has the cumulative weight θ - sin θ.
    angles = np.linspace(0.0, max_angle, 1001)
    weight = angles - np.sin(angles)
    angle = np.interp(rng.uniform(0.0, weight[-1]), weight, angles)
    axis = rng.standard_normal(3)
    return rotations.exp(angle * axis / np.linalg.norm(axis))


class GoalKeeper:
    """The queue of goals and the one that is being worked on.

    Attributes:
        active: the goal that is being worked on, if any.
        reached: goals reached so far.
        missed: goals given up so far.
    """

    def __init__(self, target: ObjectDescription, rng: np.random.Generator) -> None:
        self.active: ActiveGoal | None = None
        self.reached = 0
        self.missed = 0
        self._target = target
        self._rng = rng
        self._queue: deque[Order] = deque()
        self._endless: Order | None = None
        self._number = 0

    @property
    def waiting(self) -> int:
        """Goals in the queue, without the active one; an endless source counts as one."""
        return len(self._queue) + (self._endless is not None)

    @property
    def empty(self) -> bool:
        return self.active is None and not self.waiting

    def reseed(self, seed: int) -> None:
        """Makes the random goals that follow repeatable."""
        self._rng = np.random.default_rng(seed)

    def add(
        self, aims: Iterable[Aim], *, tolerance: float, hold: float, timeout: float
    ) -> tuple[int, ...]:
        """Queues goals and returns their numbers."""
        orders = [self._order(aim, tolerance, hold, timeout) for aim in aims]
        self._queue.extend(orders)
        return tuple(order.number for order in orders)

    def add_endless(self, aim: RandomGoal, *, tolerance: float, hold: float, timeout: float) -> int:
        """Draws goals without end once the queue is empty; returns the first one's number."""
        self._endless = self._order(aim, tolerance, hold, timeout)
        return self._endless.number

    def clear(self) -> int:
        """Forgets all goals; returns how many were waiting or active."""
        forgotten = self.waiting + (self.active is not None)
        self._queue.clear()
        self._endless = None
        self.active = None
        return forgotten

    def update(self, t: float, pose: ObjectPose, *, in_hand: bool = True) -> list[Outcome]:
        """Measures the active goal against the pose, and begins the next one when it is over.

        Args:
            t: the present [s].
            pose: where the object is now.
            in_hand: whether it is in the hand beyond doubt; elsewhere no goal is reached.

        Returns:
            What happened, in order.
        """
        outcomes: list[Outcome] = []
        if self.active is not None:
            self.active, over = _measure(self.active, t, pose, in_hand)
            if over is not None:
                outcomes.append(Outcome(over, self.active, t))
                self.reached += over == "reached"
                self.missed += over == "missed"
                self.active = None
        if self.active is None and (order := self._next()) is not None:
            quaternion = resolve(order.aim, pose.quaternion, self._target, self._rng)
            error = float(rotations.angle_between(quaternion, pose.quaternion))
            self.active = ActiveGoal(order, quaternion, t, error)
            outcomes.append(Outcome("started", self.active, t))
        return outcomes

    def _order(self, aim: Aim, tolerance: float, hold: float, timeout: float) -> Order:
        self._number += 1
        return Order(self._number, aim, tolerance, hold, timeout)

    def _next(self) -> Order | None:
        if self._queue:
            return self._queue.popleft()
        order = self._endless
        if order is not None:
            self._endless = self._order(order.aim, order.tolerance, order.hold, order.timeout)
        return order


def _measure(
    goal: ActiveGoal, t: float, pose: ObjectPose, in_hand: bool
) -> tuple[ActiveGoal, Literal["reached", "missed"] | None]:
    """The goal with its present error, and how it ended if it did."""
    order = goal.order
    error = float(rotations.angle_between(goal.quaternion, pose.quaternion))
    since = None
    if error <= order.tolerance and in_hand:
        since = t if goal.within_since is None else goal.within_since
    goal = ActiveGoal(order, goal.quaternion, goal.started, error, since)
    # Ticks lie on a grid whose floats err by less than a microsecond.
    held = since is not None and t - since >= order.hold - 1e-6
    if held and _confirmed(goal, t, pose) and _sure(error, pose, order.tolerance):
        return goal, "reached"
    if order.timeout and t - goal.started >= order.timeout:
        return goal, "missed"
    return goal, None


def _confirmed(goal: ActiveGoal, t: float, pose: ObjectPose) -> bool:
    """Whether a camera has seen what the estimator says, and not only foreseen it.

    A goal with a hold time needs a frame that was taken within that time: an object on its way
    through the goal is foreseen there, and seen beyond it.
    """
    if pose.age > CONFIRMATION_AGE:
        return False
    since = goal.within_since
    return not goal.order.hold or (since is not None and t - pose.age >= since - 1e-6)


def _sure(error: float, pose: ObjectPose, tolerance: float) -> bool:
    """Whether the object is there and not only may be: one deviation on top is tolerable too."""
    doubt = float(np.sqrt(np.linalg.eigvalsh(pose.covariance[3:6, 3:6])[-1]))
    # No angle is beyond pi.
    return min(error + doubt, np.pi) <= tolerance
