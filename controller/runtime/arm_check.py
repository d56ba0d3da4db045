"""What an operator should know before arming, beside what the controller itself requires."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inhand.controller.recording.retention import RESERVE
from inhand.hardware.dynamixel.registers import MODELS
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array


@dataclass(frozen=True)
class Surroundings:
    """What does not change while the daemon runs.

    Attributes:
        hand: the hand.
        recordings: directory of the recordings.
        uncalibrated: whether a real hand runs with the zeros of its description.
        refused: real-time measures that were asked for and not granted.
    """

    hand: Hand
    recordings: Path
    uncalibrated: bool = False
    refused: Sequence[str] = ()

    def warnings(
        self,
        cameras: Mapping[str, str],
        ended: Sequence[str],
        bus: str,
        voltage: Array | None,
    ) -> tuple[str, ...]:
        """All that is not as it should be; each on one line.

        Args:
            cameras: problem of each camera; empty text if it has none.
            ended: names of the child processes that have ended.
            bus: problem of the servo bus; empty if it has none.
            voltage: of the servos [V], (n_actuators,); None if it was not read.
        """
        found = [f"camera {name}: {problem}" for name, problem in cameras.items() if problem]
        found += [f"process {name} has ended and is started again" for name in ended]
        if bus:
            found.append(f"servo bus: {bus}")
        if self.uncalibrated:
            found.append("joints are not calibrated; run `inhand calibrate joints`")
        if self.refused:
            found.append(f"real time: the system refused {', '.join(self.refused)}")
        return (*found, *self._disk(), *self._supply(voltage))

    def _disk(self) -> list[str]:
        place = self.recordings
        while not place.exists() and place != place.parent:
            place = place.parent
        try:
            free = shutil.disk_usage(place).free
        except OSError as error:
            return [f"recordings in {self.recordings}: {error.strerror}"]
        if free < RESERVE:
            return [f"recordings in {self.recordings}: less than 100 MB are free"]
        return []

    def _supply(self, voltage: Array | None) -> list[str]:
        if voltage is None:
            return []
        ranges = [MODELS[one.on_bus.model].voltage for one in self.hand.actuators]
        return [
            f"supply: {actuator.name} has {volts:.1f} V instead of {low:.1f} to {high:.1f} V"
            for actuator, volts, (low, high) in zip(
                self.hand.actuators, voltage, ranges, strict=True
            )
            if volts < low or volts > high
        ]
