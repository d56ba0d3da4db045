"""`inhand interventions`: trials are equal up to the instant, and only memories change there."""

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from inhand.controller.cli import main
from inhand.controller.policy.runtime import Memory, load_policy
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.evaluation.intervention_arms import (
    ARMS,
    TORQUE_LEFT,
    change_memories,
    change_worlds,
    with_physics,
)
from inhand.training.evaluation.interventions import (
    Arguments,
    InterventionError,
    Report,
    Trials,
    effects,
    rates,
    run,
)
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from tests.controller import tiny_policy

HAND = load_hand("dactyl24")
BLOCK = load_object("block")
Run = Callable[..., tuple[object, str]]


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    tiny_policy.write_policy(path, HAND)
    return path


@pytest.fixture
def interventions(
    policy_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    def run_command(*arguments: str) -> tuple[object, str]:
        words = ["inhand", "interventions", "--policy", str(policy_file)]
        words += ["--output", str(policy_file.parent / "page.md"), *arguments]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main.main()
        return ended.value.code, capsys.readouterr().out

    return run_command


def memory(value: float) -> Memory:
    state = np.full((1, 1, 8), value, dtype=np.float32)
    return state, -state


def values(memories: list[Memory]) -> list[float]:
    return [float(hidden.mean()) for hidden, _ in memories]


def test_only_memories_of_trials_that_go_on_are_changed(policy_file: Path) -> None:
    policy = load_policy(policy_file, HAND, BLOCK, allowed=None)
    alive = np.array([True, False, True, True])
    for arm, wanted in (
        ("nothing", [1.0, 2.0, 3.0, 4.0]),
        ("zeroed", [0.0, 2.0, 0.0, 0.0]),
        ("swapped", [3.0, 2.0, 4.0, 1.0]),
    ):
        memories = [memory(i) for i in (1.0, 2.0, 3.0, 4.0)]
        change_memories(policy, memories, alive, arm)
        assert values(memories) == wanted, arm


def test_trials_are_equal_up_to_the_instant_and_differ_after_it(
    policy_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = load_policy(policy_file, HAND, BLOCK, allowed=None)
    given = Arguments(trials=20, at=0.5, seconds=0.3)
    taken: dict[str, list[np.ndarray]] = {}
    for arm in ARMS:
        worlds = BatchEnvironment(HAND, BLOCK, given.trials, 1, given.seed)
        worlds.harden(float(np.pi), 1.0)
        step, seen = worlds.step, taken.setdefault(arm, [])

        def watched(actions, step=step, seen=seen):  # type: ignore[no-untyped-def]
            seen.append(actions.copy())
            return step(actions)

        monkeypatch.setattr(worlds, "step", watched)
        run(policy, worlds, given, arm)
    instant = round(given.at * 20)
    for arm in ("zeroed", "swapped", "physics", "servo"):
        np.testing.assert_array_equal(taken[arm][:instant], taken["nothing"][:instant])
        # The memory acts at once; physics act through what is measured afterwards.
        last = instant if arm in ("zeroed", "swapped") else -1
        assert not np.array_equal(taken[arm][last], taken["nothing"][last]), arm


def test_worlds_change_where_a_trial_goes_on_and_nothing_moves() -> None:
    worlds = BatchEnvironment(HAND, BLOCK, 6, 1, 3)
    worlds.harden(float(np.pi), 1.0)
    before, place = list(worlds.universes), worlds.object_position.copy()
    alive = np.array([False, True, True, False, True, True])
    change_worlds(worlds, alive, "physics", 1)
    for i, other in ((1, 2), (2, 4), (4, 5), (5, 1)):
        assert worlds.universes[i] == with_physics(before[i], before[other])
        assert worlds.universes[i].friction == before[other].friction
        assert worlds.universes[i].object_size == before[i].object_size
        assert worlds.universes[i].pose_latency == before[i].pose_latency
    assert worlds.universes[0] == before[0] and worlds.universes[3] == before[3]
    change_worlds(worlds, alive, "servo", 1)
    for i in np.flatnonzero(alive):
        limits = np.array(worlds.universes[i].torque_limit)
        assert (limits == TORQUE_LEFT).sum() == 1 and len(limits) == HAND.n_actuators
    np.testing.assert_array_equal(worlds.object_position, place)


def trials(goals: int, ended: int = 0) -> Trials:
    """40 worlds for 2 s at 10 steps a second: goals of each in the second second, and ends."""
    reached, alive = np.zeros((20, 40), dtype=np.bool_), np.ones((20, 40), dtype=np.bool_)
    reached[10 : 10 + goals] = True
    alive[15:, :ended] = False
    return Trials(reached, alive)


def test_effects_are_differences_of_the_same_worlds() -> None:
    given = Arguments(trials=40, at=1.0, seconds=1.0)
    kept, zeroed = effects({"nothing": trials(4), "zeroed": trials(1, ended=10)}, 10.0, given)
    assert (kept.goals, kept.difference, kept.drops) == (4.0, 0.0, 0.0)
    assert (zeroed.goals, zeroed.difference, zeroed.drops) == (1.0, -3.0, 0.25)
    assert zeroed.interval == (-3.0, -3.0)
    assert rates(trials(4), 10.0) == (0.0, 240.0)
    assert kept.recovery == (240.0,) and zeroed.recovery[0] == pytest.approx(60.0 / 0.875)
    before = Trials(trials(4).reached, np.zeros((20, 40), dtype=np.bool_))
    with pytest.raises(InterventionError, match="only 0 of 40 trials lasted 1 s"):
        effects({"nothing": before}, 10.0, given)


def test_the_command_writes_its_page(interventions: Run, policy_file: Path) -> None:
    code, out = interventions("--trials", "24", "--at", "0.2", "--seconds", "0.2", "--json")
    assert code == 0
    report = msgspec.json.decode(out, type=Report)
    assert [one.arm for one in report.effects] == list(ARMS)
    page = (policy_file.parent / "page.md").read_text()
    assert report.sha256 in page and all(words in page for words in ARMS.values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--trials", "3"), "--trials must be at least 20"),
        (("--at", "nan"), "--at and --seconds in [0.1, 60]"),
        (("--seconds", "0"), "--at and --seconds in [0.1, 60]"),
        (("--threads", "-1"), "--threads not negative"),
        (("--policy", "nowhere.onnx"), "policy nowhere.onnx: No such file"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    interventions: Run, policy_file: Path, arguments: tuple[str, ...], words: str
) -> None:
    code, _ = interventions(*arguments)
    assert str(code).startswith("error: ") and words in str(code) and "\n" not in str(code)
    assert not (policy_file.parent / "page.md").exists()
