"""Does the object fall when the hand stops? `python -m benchmarks.object_after_stop` tells.

An object lies in the simulated hand (PyBullet), in a mode and with a tilted wrist. Then the hand is
stopped in one of the ways in which it can stop.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from inhand.controller.config.settings import ControlSettings, SafetySettings
from inhand.controller.core.controller import Controller
from inhand.controller.core.goals import RandomGoal
from inhand.controller.estimation.pose_measurements import PoseFeed, PoseReading
from inhand.controller.policy.files import SHIPPED
from inhand.controller.policy.runtime import load_policy
from inhand.controller.safety.modes import Happening
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import JointState, frozen_array
from inhand.perception.objects import load_object
from inhand.sim_backend.world import World

HAND, BLOCK = load_hand("dactyl24"), load_object("block")
TICK = 0.01
WATCHED = 3.0
"""How long the object is watched after the stop [s]."""

Stop = Literal["torque off", "hold", "fault"]
"""Estop or exit with `relax`; with `hold`; a fault, which keeps 30 % of the torque after 2 s."""
Start = Literal["ready", "running"]


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        start: mode before the stop.
        tilt: by which the hand is mounted, about the axis across the palm: positive lowers the
            fingertips [rad].
        stop: how it stops.
        seed: of the object's first orientation and of the goals.
    """

    start: Start
    tilt: float
    stop: Stop
    seed: int = 1


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        fell_after: time from the stop until the object was outside the workspace [s]; None if it
            stayed.
        sagged: largest change of a joint angle from the stop to the end [rad].
    """

    fell_after: float | None
    sagged: float


def gravity(tilt: float) -> tuple[float, float, float]:
    """Gravity in the frame of a hand that is mounted at this tilt [m/s²]."""
    return 0.0, 9.81 * float(np.sin(tilt)), -9.81 * float(np.cos(tilt))


def stopped(case: Case) -> Result | None:
    """Runs a case; None if the object fell before the stop."""
    world = World(HAND, BLOCK, Universe(gravity=gravity(case.tilt)), case.seed)
    settings = ControlSettings(safety=SafetySettings(estop="hold", dropped="hold"))
    controller = Controller[PoseReading](
        HAND, BLOCK, PoseFeed(BLOCK, hand=HAND), settings, seed=case.seed
    )
    controller.set_policy(load_policy(SHIPPED / "block.onnx", HAND, BLOCK, allowed=None))
    targets, torque = HAND.rest, np.ones(HAND.n_actuators, dtype=np.bool_)
    at_stop = HAND.rest
    try:
        for tick in range(round((2.5 + WATCHED) / TICK)):
            t = TICK * tick
            while world.time < t - 1e-9:
                world.step(targets, torque)
            joints = JointState(t, *map(frozen_array, world.encoders()))
            poses = [PoseReading(t, *world.object_pose())] if tick % 7 == 0 else []
            sent = controller.tick(t, joints, poses)
            if tick == 100:
                controller.enable()
                controller.arm()
            if tick == 110 and case.start == "running":
                controller.ask([RandomGoal()], endless=True)
            if tick < 250 and world.dropped():
                return None
            if tick == 250:
                at_stop = joints.position
                if case.stop == "fault":
                    controller.report(Happening.BUS_LOST, "stopped by this benchmark")
                else:
                    controller.estop()
                torque[:] = case.stop != "torque off"
            if sent is not None and controller.torque:
                targets = sent.position
            if tick > 250 and world.dropped():
                return Result(t - 2.5, float(np.abs(joints.position - at_stop).max()))
        return Result(None, float(np.abs(joints.position - at_stop).max()))
    finally:
        world.close()


def main() -> None:
    """Prints the table."""
    print("| stopped in | tilt | torque off | hold | fault |\n|---|---|---|---|---|")
    seeds = range(1, 5)
    for start in ("ready", "running"):
        for degrees in (-20, 0, 20):
            cells = []
            for stop in ("torque off", "hold", "fault"):
                cases = [Case(start, np.radians(degrees), stop, seed) for seed in seeds]
                results = [one for case in cases if (one := stopped(case)) is not None]
                fell = [one.fell_after for one in results if one.fell_after is not None]
                text = f"{len(fell)} of {len(results)}"
                cells.append(text + (f", after {np.median(fell):.1f} s" if fell else ""))
            print(f"| `{start}` | {degrees}° | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
