"""Joints outside their range when torque goes on: they are held, and then moved back slowly."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inhand.controller.calibration.excitation import SLOW, Exciter
from inhand.controller.config.sections import BusConfig
from inhand.controller.config.settings import SafetySettings
from inhand.controller.core.controller import Controller
from inhand.controller.core.setpoints import Mover
from inhand.controller.estimation.pose_measurements import PoseReading
from inhand.controller.policy.action import ActionPath
from inhand.controller.safety.derating import Effort
from inhand.controller.safety.modes import Happening, Mode
from inhand.controller.safety.return_to_range import NEAR
from inhand.controller.safety.safety import Limits
from inhand.controller.system.open_hand import open_hand, torque
from inhand.hardware.dynamixel.registers import Units
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from tests.controller.bench_hand import Bench, ScriptedPolicy
from tests.sim_backend.joint_wires import joint_wires

HAND = load_hand("dactyl24")
N = HAND.n_actuators
LIMITS = Limits.of(HAND)
PATH = ActionPath(HAND)
EFFORT = Effort.of(HAND, Units(HAND).torque_per_ampere)
SPEED = 0.8

PLACES = arrays(np.float64, N, elements=st.floats(-0.5, 0.5))


def beyond(position: Array) -> Array:
    """How far outside their limits joints are [rad], (n_actuators,)."""
    return np.maximum(np.maximum(LIMITS.lower - position, position - LIMITS.upper), 0.0)


def pinned(away: Array) -> Mover:
    """Targets where the hand stands: so far beyond its ends, lower ones where that is negative."""
    mover = Mover(HAND, 100, home_speed=SPEED)
    mover.pin(np.where(away < 0, HAND.lower, HAND.upper) + away)
    return mover


@settings(deadline=None, max_examples=60)
@given(PLACES, arrays(np.float64, (40, N), elements=st.floats(-1, 1)), st.data())
def test_a_joint_outside_only_moves_back_for_any_command(
    away: Array, actions: Array, data: st.DataObject
) -> None:
    mover = pinned(away)
    for action in actions:
        dt = data.draw(st.sampled_from([0.001, 0.01, 0.03]))
        before = mover.state.motion
        kind = data.draw(st.sampled_from(["back", "hold", "home", "act", "brake", "spare"]))
        if kind == "back":
            mover.come_back(dt)
        elif kind in ("act", "spare"):
            mover.act(PATH, action)
            mover.follow(PATH, dt)
        elif kind == "brake":
            mover.brake(PATH, dt)
        else:
            if kind == "home":
                mover.go(HAND.rest)
            mover.hold(dt)
        if kind == "spare":
            mover.derate(before, EFFORT, np.full(N, 0.3), before.position + action, dt)
        after = mover.state.motion
        out = beyond(before.position) > 0
        # Never further out, never faster than the way home, and every other limit as ever.
        assert (beyond(after.position) <= beyond(before.position) + 1e-12).all()
        step = np.abs(after.position - before.position)
        assert (step[out] <= SPEED * dt + 1e-9).all()
        assert (step <= LIMITS.velocity * dt + 1e-9).all()
        change = np.abs(after.velocity - before.velocity)
        assert (change <= LIMITS.acceleration * dt + 1e-9).all()


@settings(deadline=None, max_examples=60)
@given(PLACES)
def test_all_joints_return_in_time_and_the_others_wait(away: Array) -> None:
    mover = pinned(away)
    begin = mover.position
    mover.go(HAND.rest)
    ticks = 0
    while mover.outside:
        inside = beyond(mover.position) == 0
        before = mover.position
        mover.come_back(0.01)
        np.testing.assert_allclose(mover.position[inside], before[inside], atol=0.011)
        ticks += 1
        assert ticks < 120
    assert (beyond(mover.position) <= NEAR).all()
    far = beyond(begin).max()
    if far > NEAR:
        assert ticks >= (far - NEAR) / SPEED / 0.01 - 1
        assert ticks <= (far - NEAR) / SPEED / 0.01 + 20
    for _ in range(400):
        mover.hold(0.01)
    assert (beyond(mover.position) < 1e-6).all()


def test_a_stop_stops_a_joint_that_returns() -> None:
    mover = pinned(np.where(np.arange(N) == 4, 0.45, -0.2))
    for _ in range(10):
        mover.come_back(0.01)
    mover.stay()
    for _ in range(20):
        mover.hold(0.01)
    stands = mover.position
    assert beyond(stands)[4] > 0.3
    for _ in range(50):
        mover.hold(0.01)
    np.testing.assert_array_equal(mover.position, stands)


@pytest.mark.parametrize("at", range(N))
@pytest.mark.parametrize("ask", ["nothing", "home", "arm", "goal"])
def test_the_controller_returns_it_first_whatever_is_asked_for(at: int, ask: str) -> None:
    bench = Bench(ScriptedPolicy([np.ones(N)]))
    bench.servos[at] = HAND.upper[at] + 0.45
    bench.run(0.3)
    stood = bench.servos.copy()
    controller: Controller[PoseReading] = bench.controller
    controller.enable()
    if ask == "home":
        controller.home()
    elif ask in ("arm", "goal"):
        controller.arm()
    if ask == "goal":
        bench.ask(np.pi)
    last, ticks = stood, 0
    others = np.delete(np.arange(N), at)
    while bench.servos[at] > HAND.upper[at] + NEAR:
        bench.tick()
        assert bench.targets is not None
        step = bench.targets.position - last
        assert -SPEED * 0.01 - 1e-9 <= step[at] <= 1e-9
        if bench.targets.position[at] > HAND.upper[at] + NEAR:
            # Some rest at their very stops, and move away from them by the limits' margin.
            assert np.abs(bench.targets.position - stood)[others].max() < 0.011
        last, ticks = bench.targets.position, ticks + 1
        assert ticks < 150
    assert ticks >= 0.4 / SPEED / 0.01
    assert bench.mode != Mode.FAULT


@pytest.mark.parametrize("stop", ["estop", "fault"])
def test_in_a_stopped_mode_it_does_not_move(stop: str) -> None:
    bench = Bench(safety=SafetySettings(estop="hold", fault_share=1.0))
    bench.servos[4] = HAND.upper[4] + 0.45
    bench.run(0.3)
    bench.controller.enable()
    bench.run(0.1)
    if stop == "estop":
        bench.controller.estop()
    else:
        bench.controller.report(Happening.SERVO_ERROR, "a test")
    bench.run(0.3)
    assert bench.targets is not None and bench.controller.torque
    stands = bench.targets.position.copy()
    bench.run(1.0)
    np.testing.assert_array_equal(bench.targets.position, stands)
    assert stands[4] > HAND.upper[4] + 0.3


def test_enable_names_a_joint_far_outside_its_range() -> None:
    bench = Bench()
    bench.servos[4] = HAND.upper[4] + 0.7
    bench.run(0.3)
    said = bench.refused("not_ready", "enable") if bench.mode == Mode.OFF else ""
    if not said:
        said = bench.refused("not_ready", "clear")
    assert HAND.actuator_names[4] in said and f"{bench.servos[4]:+.2f} rad" in said
    assert "by hand" in said and "check power" not in said


def test_slow_moves_of_the_doctor_and_the_calibration_bring_it_back_first() -> None:
    with joint_wires(HAND, Universe()) as line:
        joints = line.joints
        angle: Callable[[], Array] = lambda: np.array(joints.encoders()[0])  # noqa: E731
        joints.angle[4] = HAND.upper[4] + 0.45  # type: ignore[attr-defined]
        joints._servos.reset(joints.angle)  # type: ignore[attr-defined]
        backend = open_hand(HAND, BusConfig(watchdog=0), line.port, patience=5.0)
        backend.connect()
        stood = angle()
        with torque(backend):
            exciter = Exciter(backend, line)
            last, began = stood, line.now()
            send = exciter._send

            def watched(wanted: Array) -> object:
                nonlocal last
                told = send(wanted)
                sent = exciter._sent.position
                assert (np.abs(sent - last) <= SLOW / 200 + 2e-3).all()
                last = sent
                return told

            exciter._send = watched  # type: ignore[method-assign, assignment]
            exciter.go(HAND.rest)
            assert line.now() - began >= 0.45 / SLOW
        assert angle()[4] == pytest.approx(HAND.rest[4], abs=0.05)
        assert not line.bus.torque_on().any()
        backend.close()
