"""Measures a monitor: false alarms in nominal worlds, adverse worlds that it finds."""

from collections.abc import Sequence

import msgspec
import numpy as np

from inhand.controller.policy.monitor import BLOCK, FEWEST, QUIET, Model, scores
from inhand.training.evaluation.logistic import wilson
from inhand.training.evaluation.monitor_windows import windows
from inhand.training.evaluation.monitor_worlds import Case, Worlds

WITHIN = 10.0
"""Time in which an adverse world is to be found [s]."""


class Found(msgspec.Struct, frozen=True):
    """One kind of adverse world.

    Attributes:
        name: of the axis and its side, or of the universe's file.
        worlds: their number.
        found: how many were found within `WITHIN`.
        interval: 95 % interval of their share.
        likely: what the monitor named first most often, in the worlds that were found.
        goals_per_minute: in these worlds, for that time.
        drops: share of the worlds with a drop in that time.
    """

    name: str
    worlds: int
    found: int
    interval: tuple[float, float]
    likely: str
    goals_per_minute: float
    drops: float


class FalseAlarms(msgspec.Struct, frozen=True):
    """Alarms in worlds that are as in training.

    Attributes:
        hours: simulated time in which a policy was watched [h].
        alarms: alarms that began.
        names: what they named first, with their numbers, most frequent first.
        goals_per_minute: in these worlds.
    """

    hours: float
    alarms: int
    names: tuple[tuple[str, int], ...]
    goals_per_minute: float

    @property
    def per_hour(self) -> float:
        """Alarms an hour."""
        return self.alarms / max(self.hours, 1e-9)


class Measured(msgspec.Struct, frozen=True):
    """The result of `inhand monitor measure`.

    Attributes:
        policy: its file's name.
        policy_sha256: of that file.
        monitor_sha256: of the monitor's file.
        object: name of the object.
        seed: of everything random.
        nominal: alarms in nominal worlds.
        in_range: alarms in worlds drawn as in training.
        axes: what was found of single axes at twice their range.
        universes: what was found of the universe files.
    """

    policy: str
    policy_sha256: str
    monitor_sha256: str
    object: str
    seed: int
    nominal: FalseAlarms
    in_range: FalseAlarms
    axes: tuple[Found, ...]
    universes: tuple[Found, ...]


def false_alarms(worlds: Worlds, size: int, seconds: float, model: Model) -> FalseAlarms:
    """Counts the alarms that begin, with the rule by which they end.

    Args:
        worlds: in which the policy acts.
        size: their number.
        seconds: for how long [s].
        model: of the monitor.
    """
    alarmed = np.zeros(size, dtype=np.bool_)
    names: dict[str, int] = {}
    watched = goals = 0
    for window in windows(worlds, seconds, model):
        scored = scores(model, window.mean, window.blocks[:, None])
        ready = window.blocks >= FEWEST
        top = np.where(ready, scored.max(-1), 0.0)
        now = top >= np.where(alarmed, QUIET, 1.0)
        for i in np.flatnonzero(now & ~alarmed):
            name = model.names[int(np.argmax(scored[i]))]
            names[name] = names.get(name, 0) + 1
        alarmed = now
        watched += size * BLOCK
        goals += int(window.reached.sum())
    hours = watched / worlds.rate / 3600
    ordered = tuple(sorted(names.items(), key=lambda one: -one[1]))
    return FalseAlarms(hours, sum(names.values()), ordered, goals / max(hours * 60, 1e-9))


def found_in(worlds: Worlds, cases: Sequence[Case], model: Model) -> tuple[Found, ...]:
    """Which adverse worlds are found within `WITHIN` of the policy's start.

    Args:
        worlds: one for each of the cases; cases of one name are counted together.
        cases: of the worlds, in order.
        model: of the monitor.
    """
    first: list[str] = [""] * len(cases)
    goals, dropped = np.zeros(len(cases)), np.zeros(len(cases), dtype=np.bool_)
    for window in windows(worlds, WITHIN, model):
        scored = scores(model, window.mean, window.blocks[:, None])
        alarm = (window.blocks >= FEWEST) & (scored.max(-1) >= 1.0)
        for i in np.flatnonzero(alarm):
            first[i] = first[i] or model.names[int(np.argmax(scored[i]))]
        goals += window.reached
        dropped |= window.dropped
    results = []
    for name in dict.fromkeys(case.name for case in cases):
        ids = [i for i, case in enumerate(cases) if case.name == name]
        named = [first[i] for i in ids if first[i]]
        n, found = len(ids), len(named)
        results.append(
            Found(
                name=name,
                worlds=n,
                found=found,
                interval=wilson(found, n),
                likely=max(sorted(set(named)), key=named.count) if named else "",
                goals_per_minute=float(goals[ids].sum() / (n * WITHIN / 60)),
                drops=float(dropped[ids].mean()),
            )
        )
    return tuple(results)
