"""View model of the page: the data that it shows, from a running daemon or from a recording."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import degrees
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from viser import GuiApi

from inhand.controller.client.connection import Message
from inhand.controller.view.past_goals import PastGoal, PastGoals
from inhand.hardware.model.hand import Hand, parse_hand
from inhand.hardware.records import Array
from inhand.perception.cameras import Camera, parse_rig
from inhand.perception.objects import ObjectDescription, parse_object

Pose = tuple[Array, Array]
"""Position [m], (3,), and quaternion wxyz, (4,), world frame."""

Picture = NDArray[np.uint8]

_SENT = "from the daemon or recording"

HISTORY = 400
"""Points of each curve: 20 s of a running daemon."""


@dataclass(frozen=True)
class Setting:
    """What does not change while the page is open.

    Attributes:
        hand: the hand.
        target: the object.
        cameras: the rig.
        simulated: whether there is a world that can put the object back.
    """

    hand: Hand
    target: ObjectDescription
    cameras: Mapping[str, Camera]
    simulated: bool = False


@dataclass
class Moment:
    """One instant.

    Attributes:
        state: message of the topic `state`.
        statistics: message of the topic `statistics`; empty if unknown.
        row: consecutive goals reached, without a drop or a missed goal.
        measured: the object's pose from the cameras' last pictures alone.
        truth: its true pose, in simulation.
        pictures: the last picture of each camera, with the detected tags.
    """

    state: Message
    statistics: Message = field(default_factory=dict)
    row: int = 0
    measured: Pose | None = None
    truth: Pose | None = None
    pictures: dict[str, Picture] = field(default_factory=dict)


class Feed(Protocol):
    """Source of moments: a daemon or a recording.

    Attributes:
        setting: what is shown; None as long as it is unknown.
        problem: why nothing new is shown, and what to do; empty if there is no problem.
        history: curves up to the present moment.
        looking: whether the pictures are shown.
    """

    setting: Setting | None
    problem: str
    history: "History"
    looking: bool

    def start(self) -> None:
        """Begins to receive moments; `close` ends it."""

    def controls(self, gui: GuiApi) -> None:
        """Adds the feed's own controls."""

    def moment(self) -> Moment | None:
        """The present moment; None if there is none yet."""

    def close(self) -> None:
        """Releases all resources."""


class History:
    """The last points of what is drawn as curves."""

    def __init__(self) -> None:
        self._rows: deque[tuple[Array, Array, Array]] = deque(maxlen=HISTORY)
        self._goals = PastGoals()
        # One thread adds rows while another reads them.
        self._lock = Lock()

    def clear(self) -> None:
        """Removes all points."""
        with self._lock:
            self._rows.clear()
            self._goals.clear()

    def add(self, moment: Moment) -> None:
        """Takes the next point."""
        state, joints = moment.state, moment.state["joints"]
        with self._lock:
            self._goals.take(state)
        if joints is None:
            return
        goal, targets = state["goal"], state["targets"]
        error = degrees(goal["error"]) if goal else np.nan
        late = moment.statistics.get("tick", {}).get("recent_lateness")
        currents = np.abs(joints["current"])
        # A temperature that is not known is None or NaN; fmax passes over it.
        hottest = np.fmax.reduce(np.array(joints.get("temperature") or [np.nan], dtype=np.float64))
        numbers = [state["t"], error, np.nan if late is None else 1e3 * late]
        numbers += [currents.max(), currents.mean(), hottest, moment.row]
        position = np.array(joints["position"])
        told = position if targets is None else np.array(targets)
        with self._lock:
            self._rows.append((np.array(numbers), position, told))

    def goals(self) -> tuple[PastGoal, ...]:
        """The last goals that ended, oldest first."""
        with self._lock:
            return self._goals.goals

    def _all(self) -> tuple[tuple[Array, Array, Array], ...]:
        with self._lock:
            return tuple(self._rows)

    def curves(self) -> dict[str, Array]:
        """By name, (n,): `t` (before now) [s], `error` [deg], `lateness` [ms], `current`,
        `mean_current` [A], `temperature` [°C], `row`."""
        names = ("t", "error", "lateness", "current", "mean_current", "temperature", "row")
        rows = self._all()
        table = np.array([row[0] for row in rows]) if rows else np.zeros((1, len(names)))
        table[:, 0] -= table[-1, 0]
        return dict(zip(names, table.T.copy(), strict=True))

    def joint(self, actuator: int) -> tuple[Array, Array]:
        """Position and target of one actuator [deg], (n,) each."""
        rows = self._all()
        if not rows:
            return np.zeros(1), np.zeros(1)
        pairs = np.degrees([(row[1][actuator], row[2][actuator]) for row in rows])
        return pairs[:, 0].copy(), pairs[:, 1].copy()


class Row:
    """Counts consecutive reached goals."""

    def __init__(self) -> None:
        self._failures = (-1, -1)
        self._base = 0

    def count(self, state: Message) -> int:
        """Number of consecutive reached goals after this state."""
        failures = state["missed"], state["dropped"]
        if failures != self._failures or state["reached"] < self._base:
            self._base = state["reached"] if self._failures != (-1, -1) else 0
            self._failures = failures
        return int(state["reached"] - self._base)


def setting_of(hand: str, target: str, rig: str, *, simulated: bool = False) -> Setting:
    """The setting from three descriptions, given as the text of their files.

    Raises:
        InhandError: a description cannot be read by this version of the program.
        PerceptionError: the same.
    """
    return Setting(
        parse_hand(hand.encode(), _SENT),
        parse_object(target.encode(), _SENT, recorded=True),
        parse_rig(rig.encode(), _SENT),
        simulated=simulated,
    )
