"""A hand with servos on several buses: all buses are read at the same time."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.backend import HandBackend
from inhand.hardware.errors import BusError, DescriptionError
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array, JointState, Targets, frozen_array

Result = TypeVar("Result")


def by_port(hand: Hand, port: str, others: Mapping[str, Sequence[int]]) -> dict[str, Hand]:
    """Splits a hand by port: for each port, a hand with only the servos of that port.

    Args:
        hand: the whole hand.
        port: port of all servos that are not in `others`.
        others: ids of the servos on other ports.

    Raises:
        DescriptionError: an id is not of this hand or on two ports, or a port has no servo.
    """
    known = {actuator.on_bus.id for actuator in hand.actuators}
    where: dict[int, str] = {}
    for name, ids in others.items():
        for id in ids:
            if id not in known:
                raise DescriptionError(f"port {name}: hand {hand.name} has no servo {id}")
            if id in where:
                raise DescriptionError(f"servo {id} is listed on two ports: {where[id]} and {name}")
            where[id] = name
    parts = {}
    for name in (port, *others):
        here = [a for a in hand.actuators if where.get(a.on_bus.id, port) == name]
        if not here:
            raise DescriptionError(f"port {name}: no servo of hand {hand.name} is on it")
        parts[name] = replace(hand, actuators=tuple(here))
    return parts


class ParallelHand(HandBackend):
    """Several buses as one hand; errors name the port of the bus.

    Args:
        hand: the whole hand.
        parts: one backend for each bus, with its part of the hand; see `by_port`.
    """

    def __init__(self, hand: Hand, parts: Sequence[HandBackend]) -> None:
        self.hand, self._parts = hand, parts
        names = list(hand.actuator_names)
        self._places: list[NDArray[np.intp]] = [
            np.array([names.index(name) for name in part.hand.actuator_names]) for part in parts
        ]
        self._helpers = ThreadPoolExecutor(len(parts), thread_name_prefix="bus")

    @property
    def problem(self) -> str:
        return "; ".join(part.problem for part in self._parts if part.problem)

    @property
    def parts(self) -> Sequence[HandBackend]:
        return self._parts

    def connect(self) -> None:
        """Opens all buses; if one cannot be opened, all are closed again."""
        try:
            for part in self._parts:
                part.connect()
        except BusError:
            self.close()
            raise

    def read(self, deadline: float | None = None) -> JointState:
        """Measures all servos, on all buses at once; the time is the earliest of all buses."""
        first, *rest = self._parts
        futures = [self._helpers.submit(part.read, deadline) for part in rest]
        # All reads are waited for, also if one fails.
        steps: list[Callable[[], JointState]] = [partial(first.read, deadline)]
        states = _all(steps + [future.result for future in futures])
        return JointState(
            min(state.t for state in states),
            self._joined([state.position for state in states]),
            self._joined([state.velocity for state in states]),
            self._joined([state.current for state in states]),
            self._joined([state.temperature for state in states]),
            self._joined([state.voltage for state in states]),
        )

    def write(self, targets: Targets) -> Targets:
        """Commands all servos; if one bus fails, the others still get their targets."""
        if not np.isfinite(targets.position).all():
            rows = zip(self.hand.actuator_names, targets.position.tolist(), strict=True)
            wrong = ", ".join(name for name, x in rows if not np.isfinite(x))
            raise BusError(f"target of {wrong} is not a finite number; nothing was sent")
        steps = [
            partial(part.write, Targets(targets.t, frozen_array(targets.position[places])))
            for part, places in zip(self._parts, self._places, strict=True)
        ]
        sent = _all(steps)
        return Targets(targets.t, self._joined([one.position for one in sent]))

    def set_torque(self, on: bool) -> None:
        """Switches torque on every bus that can be reached."""
        _all([partial(part.set_torque, on) for part in self._parts])

    def relax(self, deadline: float | None = None) -> str:
        """Switches torque off on every bus that can be reached, on all at once."""
        futures = [self._helpers.submit(part.relax, deadline) for part in self._parts]
        left = _all([future.result for future in futures])
        return "; ".join(one for one in left if one)

    def reboot(self) -> list[str]:
        """Reboots servos with a hardware error, on all buses."""
        return [name for names in _all([part.reboot for part in self._parts]) for name in names]

    def close(self) -> None:
        for part in self._parts:
            part.close()

    def _joined(self, values: Sequence[Array | None]) -> Array:
        """Joins the arrays of the parts, (n_actuators,); NaN where a part has none."""
        joined = np.full(self.hand.n_actuators, np.nan)
        for places, value in zip(self._places, values, strict=True):
            if value is not None:
                joined[places] = value
        return frozen_array(joined)


def _all(steps: Sequence[Callable[[], Result]]) -> list[Result]:
    """Runs every step; returns the results.

    Raises:
        BusError: one or more steps failed; with all their messages.
    """
    results, problems = list[Result](), list[str]()
    for step in steps:
        try:
            results.append(step())
        except BusError as error:
            problems.append(str(error))
    if problems:
        raise BusError("; ".join(problems))
    return results
