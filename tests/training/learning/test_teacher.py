"""The teacher: it learns, and a run can be stopped and resumed."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.learning import compact
from inhand.training.learning.checkpoint import CheckpointError
from inhand.training.learning.networks import teacher_inputs
from inhand.training.learning.teacher import Recipe, Teacher
from inhand.training.mujoco_worlds.environment import BatchEnvironment

TINY = Recipe(worlds=32, horizon=8, epochs=2, seed=3)


def teacher(recipe: Recipe = TINY, target: str = "block") -> Teacher:
    worlds = BatchEnvironment(
        load_hand("dactyl24"), load_object(target), recipe.worlds, seed=recipe.seed
    )
    return Teacher(worlds, recipe)


def test_the_critic_learns_to_predict_returns() -> None:
    run = teacher(msgspec.structs.replace(TINY, worlds=64, horizon=16, epochs=5))
    rollout = run._rollout().as_one_step()

    def error() -> float:
        predicted = run.network.value(rollout.inputs)
        return float((predicted - rollout.returns).square().mean().detach())

    before = error()
    for _ in range(6):
        run.ppo.update(rollout, lambda ids: rollout.means[:, ids], 0, policy_learns=False)
    assert error() < 0.7 * before


def test_a_resumed_run_has_the_same_network_and_counters(tmp_path: Path) -> None:
    run = teacher()
    for _ in range(2):
        run.iterate()
    run.save(tmp_path / "run.pt")
    again = teacher()
    again.resume(tmp_path / "run.pt")
    assert (again.iteration, again.steps) == (2, 2 * 32 * 8)
    for name, value in run.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[name], value)
    again.iterate()
    assert again.iteration == 3
    assert not list(tmp_path.glob("*.part"))


def test_a_run_goes_on_from_a_compact_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = teacher()
    run.iterate()
    run.save(tmp_path / "run.pt")

    def make(source: str, target: str) -> None:
        arguments = [str(tmp_path / source), "--output", str(tmp_path / target)]
        monkeypatch.setattr("sys.argv", ["inhand policy compact", *arguments])
        assert compact.main() == 0

    make("run.pt", "small.pt")
    for source, target, message in (
        ("run.pt", "small.pt", "small.pt exists; name another"),
        ("absent.pt", "other.pt", "absent.pt: no such file"),
        ("broken.pt", "other.pt", "broken.pt is damaged"),
        ("list.pt", "other.pt", "list.pt is not one of a teacher or a student"),
    ):
        (tmp_path / "broken.pt").write_bytes(b"PK broken")
        torch.save([1], tmp_path / "list.pt")
        with pytest.raises(CheckpointError, match=message):
            make(source, target)
        assert not (tmp_path / "other.pt").exists()
    assert (tmp_path / "small.pt").stat().st_size < 0.3 * (tmp_path / "run.pt").stat().st_size
    again = teacher()
    again.resume(tmp_path / "small.pt")
    inputs = teacher_inputs(run.worlds, "cpu")
    torch.testing.assert_close(
        again.network.act(inputs), run.network.act(inputs), atol=3e-3, rtol=0
    )
    again.iterate()
    assert again.iteration == 2


@pytest.mark.parametrize("what", ["hand file", "object", "model"])
def test_a_checkpoint_of_anything_else_is_refused_by_name(tmp_path: Path, what: str) -> None:
    run = teacher()
    run.worlds.digests[what] = "0" * 64
    run.save(tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match=f"was trained with another {what}; go back"):
        teacher().resume(tmp_path / "checkpoint.pt")


def test_a_checkpoint_that_names_the_objects_file_goes_on(tmp_path: Path) -> None:
    run = teacher()
    run.worlds.digests["object file"] = run.worlds.digests.pop("object")[::-1]
    run.save(tmp_path / "checkpoint.pt")
    teacher().resume(tmp_path / "checkpoint.pt")
    run.worlds.digests["model"] = "0" * 64
    run.save(tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="another model"):
        teacher().resume(tmp_path / "checkpoint.pt")


def test_a_loss_that_is_not_finite_stops_learning(tmp_path: Path) -> None:
    run = teacher()
    run.worlds.step = _broken_step(run)
    with pytest.raises(FloatingPointError, match="value"):
        run.iterate()


def _broken_step(run: Teacher):
    original = run.worlds.step

    def step(actions: np.ndarray):
        return replace(original(actions), reward=np.full(len(actions), np.nan))

    return step
