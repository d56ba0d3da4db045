"""Joints that cannot follow: jammed, pinched, pulled at; the last two with PyBullet."""

from pathlib import Path

import numpy as np
import pytest

from inhand.controller.config.settings import ControlSettings, SafetySettings
from inhand.controller.core.controller import Controller
from inhand.controller.core.records import Event
from inhand.controller.estimation.pose_measurements import PoseFeed, PoseReading
from inhand.controller.safety.modes import Mode
from inhand.hardware.dynamixel.registers import Units
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array, JointState, frozen_array
from tests.controller.bench_hand import BLOCK, HAND, Bench, ScriptedPolicy

SOON = SafetySettings(blocked_warn=0.3, blocked_back_off=0.6, blocked_fault=2.5)
JOINT = HAND.actuator_names.index("MFJ3")


def test_a_jammed_servo_is_reported_pushes_less_and_is_a_fault() -> None:
    """Its encoder still has noise, so that it does not count as stuck."""
    bench = Bench(ScriptedPolicy([0.9 * np.eye(HAND.n_actuators)[JOINT]]))
    bench.start(Mode.RUNNING)
    began, rng = bench.t, np.random.default_rng(1)
    asked = []
    while bench.mode == Mode.RUNNING and bench.t - began < 30.0:
        bench.jammed[JOINT] = HAND.rest[JOINT] + 1e-4 * float(rng.standard_normal())
        bench.tick()
        assert bench.targets is not None
        error = bench.targets.position[JOINT] - bench.servos[JOINT]
        asked.append(HAND.gain[JOINT] * error / HAND.torque_limit[JOINT])
    (blocked,) = [event for event in bench.events if event.kind == "blocked"]
    assert blocked.data["servos"] == ["MFJ3"]
    assert blocked.t - began == pytest.approx(1.2, abs=0.3)
    # It asked for 1.3 times its limit for 2 s, and for half of it afterwards.
    assert max(asked) > 1.1
    assert max(asked[280:-1]) <= 0.51
    assert bench.mode == Mode.FAULT and bench.t - began == pytest.approx(10.2, abs=0.5)
    assert "MFJ3 has been blocked" in bench.controller.snapshot().reason


def test_a_policy_that_turns_the_object_is_not_taken_for_blocked(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    bench = Bench(ScriptedPolicy(list(rng.uniform(-1, 1, (200, HAND.n_actuators)))))
    bench.start(Mode.RUNNING)
    bench.run(9.0)
    assert "blocked" not in bench.kinds() and bench.mode == Mode.RUNNING


@pytest.mark.parametrize(
    ("force", "growing"),
    [((0.0, 0.0, -40.0), False), ((0.0, -40.0, 0.0), True)],
    ids=["pinch", "cable"],
)
def test_a_pinched_finger_and_a_cable_pull_meet_less_torque(
    force: tuple[float, float, float], growing: bool
) -> None:
    """A force on the middle finger: at once, as of a pinch, or growing, as of a cable."""
    pybullet = pytest.importorskip("pybullet")
    from inhand.sim_backend.world import World

    controller = Controller[PoseReading](HAND, BLOCK, PoseFeed(BLOCK), ControlSettings(safety=SOON))
    world = World(HAND, BLOCK, Universe(), seed=1)
    # The object is not part of this.
    pybullet.resetBasePositionAndOrientation(
        world.object_body, [0, 0, -1], [0, 0, 0, 1], physicsClientId=world.client
    )
    link = HAND.link_names.index("mf_distal")
    limit = HAND.torque_limit / Units(HAND).torque_per_ampere
    targets, on = HAND.rest, np.ones(HAND.n_actuators, dtype=np.bool_)
    events: list[Event] = []
    used: list[Array] = []
    try:
        for tick in range(450):
            t = 0.01 * tick
            share = 0.0 if t < 0.3 else min(1.0, (t - 0.3) / 0.5) if growing else 1.0
            while world.time < t - 1e-9:
                state = pybullet.getLinkState(world.hand_body, link, physicsClientId=world.client)
                pybullet.applyExternalForce(
                    world.hand_body,
                    link,
                    [share * x for x in force],
                    state[0],
                    pybullet.WORLD_FRAME,
                    physicsClientId=world.client,
                )
                world.step(targets, on)
            joints = JointState(t, *map(frozen_array, world.encoders()))
            sent = controller.tick(t, joints)
            if tick == 5:
                controller.enable()
            if sent is not None and controller.torque:
                targets = sent.position
            events += controller.take_events()
            used.append(np.abs(joints.current) / limit)
            if controller.mode == Mode.FAULT:
                break
    finally:
        world.close()
    blocked = next(event for event in events if event.kind == "blocked")
    servos = [HAND.actuator_names.index(name) for name in blocked.data["servos"]]
    at = round(blocked.t / 0.01)
    torque = np.array(used)[:, servos]
    assert (torque[at - 20 : at].max(axis=0) > 0.85).all()
    # Some tenths of a second after the report it pushes with half the torque.
    assert torque[at + 60 : -1].max() < 0.6
    assert controller.mode == Mode.FAULT and "blocked" in controller.snapshot().reason
