"""What must hold after any sequence of requests, losses and drops."""

from contextlib import suppress

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from inhand.controller.config.settings import SafetySettings
from inhand.controller.core.goals import RandomGoal
from inhand.controller.errors import RefusedError
from inhand.controller.safety.modes import Happening, Mode
from inhand.controller.safety.safety import Limits
from inhand.hardware.records import Array
from tests.controller.bench_hand import HAND, IN_HAND, TICK, Bench, ScriptedPolicy

LIMITS = Limits.of(HAND)
REQUESTS = (
    "enable",
    "disable",
    "home",
    "arm",
    "disarm",
    "hold",
    "cancel",
    "estop",
    "clear",
    "manual",
)
WORLD = ("drop", "put back", "hide", "show", "unplug", "plug in", "wait", "servo error")
MOTIONS = ("joints", "follow")
LIKELY = ("enable", "manual", *MOTIONS, "arm", "ask", "wait", "wait", "show", "plug in", "put back")


def do(bench: Bench, step: str, rng: np.random.Generator) -> None:
    """One random step; a request may be refused."""
    match step:
        case "drop":
            bench.position = IN_HAND - [0.0, 0.0, 0.2]
        case "put back":
            bench.position = IN_HAND
        case "hide" | "show":
            bench.seen = step == "show"
        case "unplug" | "plug in":
            bench.answered = step == "plug in"
        case "servo error":
            bench.controller.report(Happening.SERVO_ERROR, "overload")
        case "wait":
            pass
        case _:
            arguments: tuple[object, ...] = ([RandomGoal()],) if step == "ask" else ()
            if step in MOTIONS:
                targets = list(rng.uniform(HAND.lower, HAND.upper))
                arguments = (targets, 20.0) if step == "joints" else ([2.0], [targets])
            with suppress(RefusedError):
                getattr(bench.controller, step)(*arguments)


def check(bench: Bench, torque_before: bool, sent_before: Array | None) -> None:
    controller = bench.controller
    if bench.mode in (Mode.OFF, Mode.ESTOP):
        assert not controller.torque
    if bench.mode in (Mode.HOLDING, Mode.READY, Mode.RUNNING, Mode.MANUAL):
        assert controller.torque
    # Nothing is worked on but in running, and nothing waits.
    assert controller.goals.empty == (bench.mode != Mode.RUNNING)
    if bench.targets is not None:
        assert np.isfinite(bench.targets.position).all()
        if controller.torque and torque_before and sent_before is not None:
            moved = np.abs(bench.targets.position - sent_before)
            assert (moved <= LIMITS.velocity * TICK + 1e-9).all()
            assert (bench.targets.position >= LIMITS.lower - 1e-9).all()
            assert (bench.targets.position <= LIMITS.upper + 1e-9).all()


@settings(deadline=None, max_examples=120)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(LIKELY) | st.sampled_from(REQUESTS + MOTIONS + WORLD),
            st.integers(0, 40),
        ),
        max_size=25,
    ),
    st.integers(0, 2**32 - 1),
)
def test_invariants_hold_in_any_sequence(story: list[tuple[str, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    actions = [rng.uniform(-1.5, 1.5, HAND.n_actuators) for _ in range(50)]
    bench = Bench(ScriptedPolicy(actions), SafetySettings(idle=1.0, pose_lost=0.4, fault_hold=0.2))
    bench.servos = np.clip(HAND.rest, LIMITS.lower, LIMITS.upper)
    bench.run(0.2)
    for step, ticks in story:
        torque, sent = bench.controller.torque, bench.targets and bench.targets.position
        do(bench, step, rng)
        if step != "enable":
            assert bench.controller.torque <= torque
        for _ in range(ticks + 1):
            bench.tick()
            check(bench, torque, sent)
            torque, sent = bench.controller.torque, bench.targets and bench.targets.position
