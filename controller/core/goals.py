"""Goals: kinds of goals, the goal queue, and the active goal."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import numpy as np

from inhand.controller.core.orientations import nearest, random_rotation, shortest_turn
from inhand.controller.core.success import Held, within
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription
from inhand.perception.records import ConfirmedPose, ObjectPose
from inhand.perception.rotations import Array

_UP = np.array([0.0, 0.0, 1.0])


class Orientation(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A given orientation: quaternion, world from object, wxyz, (4,)."""

    quaternion: Array


class FaceUp(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A face of the object turned upward.

    Attributes:
        face: name of the face in the object's description.
        heading: rotation about the vertical [rad], applied after the smallest rotation that
            turns the face up from the identity orientation; None: the smallest rotation that
            turns the face up from the present orientation.
    """

    face: str
    heading: float | None = None


class Turn(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A rotation from the orientation at the goal's start: world frame vector [rad], (3,)."""

    rotation: Array


class RandomGoal(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A random orientation, drawn when the goal begins.

    Attributes:
        kind: `so3`, uniform over all orientations, or `face-up`, any face up with any heading.
        max_angle: for `so3`, the largest rotation from the present orientation [rad].
    """

    kind: Literal["so3", "face-up"] = "so3"
    max_angle: float = np.pi


Aim = Orientation | FaceUp | Turn | RandomGoal


@dataclass(frozen=True)
class Order:
    """One goal in the queue.

    Attributes:
        number: number of the goal, counted over all requested goals.
        aim: the requested orientation.
        tolerance: largest error that counts as reached [rad].
        hold: time for which the error must stay within the tolerance [s].
        timeout: time after which the goal counts as missed [s]; 0: no time limit.
        symmetry: whether orientations that look the same, but for the tags, are the same goal.
    """

    number: int
    aim: Aim
    tolerance: float
    hold: float
    timeout: float
    symmetry: bool = False

    @property
    def any_heading(self) -> bool:
        """Whether rotation about the vertical makes no difference."""
        return isinstance(self.aim, FaceUp) and self.aim.heading is None


@dataclass(frozen=True)
class ActiveGoal:
    """The active goal.

    Attributes:
        order: the entry of the queue.
        quaternion: the goal orientation, world from object, wxyz, (4,); of several, the one nearest
            to the object's.
        started: time at which it began [s].
        error: angle between the object and the goal orientation now; once the goal is reached, in
            the frame that confirmed it [rad].
        within_since: capture time of the first frame of those that show the object within
            tolerance without a gap [s]; None if the last one does not.
        captured: capture time of the last of them [s].
        reminders: how often it was reported that the goal takes long.
    """

    order: Order
    quaternion: Array
    started: float
    error: float
    within_since: float | None = None
    captured: float | None = None
    reminders: int = 0


@dataclass(frozen=True)
class Outcome:
    """The start or the end of a goal, or that it takes long."""

    kind: Literal["started", "reached", "missed", "overdue"]
    goal: ActiveGoal
    t: float


def resolve(
    aim: Aim, quaternion: Array, target: ObjectDescription, rng: np.random.Generator
) -> Array:
    """The goal orientation of an aim, given the present orientation; both wxyz, (4,)."""
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


class GoalKeeper:
    """The queue of goals and the active goal.

    Args:
        target: the object.
        rng: draws random goals.
        overdue: after each such time [s] it is reported that a goal takes long; 0 for never.

    Attributes:
        active: the active goal, if any.
        reached: number of goals reached so far.
        missed: number of goals missed so far.
    """

    def __init__(
        self, target: ObjectDescription, rng: np.random.Generator, overdue: float = 0.0
    ) -> None:
        self.active: ActiveGoal | None = None
        self.reached = 0
        self.missed = 0
        self._target = target
        self._rng, self._overdue = rng, overdue
        self._queue: deque[Order] = deque()
        self._endless: Order | None = None
        self._number = 0

    @property
    def waiting(self) -> int:
        """Number of queued goals without the active one; endless goals count as one."""
        return len(self._queue) + (self._endless is not None)

    @property
    def empty(self) -> bool:
        return self.active is None and not self.waiting

    def reseed(self, seed: int) -> None:
        """Seeds the random goals that follow."""
        self._rng = np.random.default_rng(seed)

    def add(
        self,
        aims: Iterable[Aim],
        *,
        tolerance: float,
        hold: float,
        timeout: float,
        symmetry: bool = False,
    ) -> tuple[int, ...]:
        """Queues goals and returns their numbers."""
        orders = [self._order(aim, tolerance, hold, timeout, symmetry) for aim in aims]
        self._queue.extend(orders)
        return tuple(order.number for order in orders)

    def add_endless(
        self,
        aim: RandomGoal,
        *,
        tolerance: float,
        hold: float,
        timeout: float,
        symmetry: bool = False,
    ) -> int:
        """Draws endless goals once the queue is empty; returns the number of the first."""
        self._endless = self._order(aim, tolerance, hold, timeout, symmetry)
        return self._endless.number

    def clear(self) -> int:
        """Removes all goals; returns how many were waiting or active."""
        forgotten = self.waiting + (self.active is not None)
        self._queue.clear()
        self._endless = None
        self.active = None
        return forgotten

    def update(
        self, t: float, pose: ObjectPose, frames: Sequence[ConfirmedPose], *, in_hand: bool = True
    ) -> list[Outcome]:
        """Compares the active goal with the pose; begins the next goal when it has ended.

        Args:
            t: current time [s].
            pose: estimated pose of the object now.
            frames: estimates at the capture times of the frames that came since the last call.
            in_hand: whether the object is certainly in the hand; otherwise no goal is reached.

        Returns:
            The goals that ended or began, in order.
        """
        outcomes: list[Outcome] = []
        if self.active is not None:
            self.active = self._turned_to(self.active, pose.quaternion)
            self.active, over = self._measure(self.active, t, frames, in_hand)
            if over is not None:
                outcomes.append(Outcome(over, self.active, t))
                self.reached += over == "reached"
                self.missed += over == "missed"
            if over in ("reached", "missed"):
                self.active = None
        if self.active is None and (order := self._next()) is not None:
            quaternion = resolve(order.aim, pose.quaternion, self._target, self._rng)
            self.active = self._turned_to(ActiveGoal(order, quaternion, t, 0.0), pose.quaternion)
            outcomes.append(Outcome("started", self.active, t))
        return outcomes

    def interrupt(self) -> None:
        """Starts the hold time of the active goal anew, as the hand has paused."""
        if self.active is not None:
            self.active = replace(self.active, within_since=None, captured=None)

    def _order(
        self, aim: Aim, tolerance: float, hold: float, timeout: float, symmetry: bool
    ) -> Order:
        self._number += 1
        return Order(self._number, aim, tolerance, hold, timeout, symmetry)

    def _next(self) -> Order | None:
        if self._queue:
            return self._queue.popleft()
        order = self._endless
        if order is not None:
            self._number += 1
            self._endless = replace(order, number=self._number)
        return order

    def _turned_to(self, goal: ActiveGoal, quaternion: Array) -> ActiveGoal:
        """The goal with the orientation nearest to the object's, wxyz, (4,), and its error."""
        order = goal.order
        symmetry = self._target.symmetry if order.symmetry else None
        best = nearest(goal.quaternion, quaternion, symmetry, any_heading=order.any_heading)
        error = float(rotations.angle_between(best, quaternion))
        return replace(goal, quaternion=best, error=error)

    def _measure(
        self, goal: ActiveGoal, t: float, frames: Sequence[ConfirmedPose], in_hand: bool
    ) -> tuple[ActiveGoal, Literal["reached", "missed", "overdue"] | None]:
        """The goal with its hold time, and its result if it has ended."""
        order = goal.order
        held = Held(goal.within_since, goal.captured) if in_hand else Held()
        for frame in frames:
            if not in_hand or frame.t < goal.started:
                continue
            then = self._turned_to(goal, frame.quaternion)
            held = held.after(frame.t, within(then.error, frame, order.tolerance, order.hold))
            if held.lasts(order.hold):
                return replace(then, within_since=held.since, captured=held.captured), "reached"
        goal = replace(goal, within_since=held.since, captured=held.captured)
        taken = t - goal.started
        if order.timeout and taken >= order.timeout:
            return goal, "missed"
        if self._overdue and taken >= self._overdue * (goal.reminders + 1):
            return replace(goal, reminders=goal.reminders + 1), "overdue"
        return goal, None
