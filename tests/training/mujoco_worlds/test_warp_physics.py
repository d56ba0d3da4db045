"""MuJoCo Warp on the CPU beside C MuJoCo: equal steps from equal states, in varied worlds."""

from collections.abc import Callable

import mujoco
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.mujoco_worlds.draws import AXES, NAMES
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.mujoco_worlds.memory import check_memory
from inhand.training.mujoco_worlds.model import OBJECT, build_spec
from inhand.training.mujoco_worlds.physics import EngineError, MakePhysics
from inhand.training.mujoco_worlds.universe import FIELDS
from inhand.training.mujoco_worlds.warp_physics import COMMON, OWN, Room, WarpPhysics

HAND, BLOCK = load_hand("dactyl24"), load_object("block")
WORLDS = 16
ALIKE = ("elliptic_cone", "iterations", "torsional_friction")
"""Axes that MuJoCo Warp cannot vary from world to world."""
CONVERGED = 50
"""Iterations after which the contact solver has converged."""


def on_cpu(model: mujoco.MjModel, size: int) -> WarpPhysics:
    return WarpPhysics(model, size, "cpu")


def environment(
    target: str = "block", physics: MakePhysics | None = None, strength: float = 0.0
) -> BatchEnvironment:
    """Worlds at one strength of all axes that differ between worlds in both engines."""
    worlds = BatchEnvironment(
        HAND, load_object(target), WORLDS, threads=1, seed=5, make_physics=physics
    )
    sided = [axis.two_sided for axis in AXES.values()]
    strengths = np.tile(np.where(sided, strength, abs(strength)), (WORLDS, 1))
    strengths[:, [NAMES.index(name) for name in ALIKE]] = 0.0
    worlds.variation.draw(np.arange(WORLDS), np.random.default_rng(3), strengths)
    return worlds


def differences(target: str, strength: float) -> tuple[NDArray[np.float64], BatchEnvironment]:
    """Largest difference of a world's velocities after each of 60 steps from equal states.

    The contact solver may iterate until it has converged; stopped after six iterations, as in
    training, it differs by what was left to do.
    """
    pytest.importorskip("mujoco_warp")
    ours, theirs = environment(target, None, strength), environment(target, on_cpu, strength)
    batch, warp = ours._batch, theirs._batch
    assert isinstance(warp, WarpPhysics)
    for name in ("opt.iterations", "opt.ls_iterations"):
        batch.expand(name)[:] = CONVERGED
    warp._m.opt.iterations = warp._m.opt.ls_iterations = CONVERGED
    started = batch.bind("qacc_warmstart")
    rng = np.random.default_rng(1)
    found = []
    for step in range(60):
        if step % 5 == 0:
            targets = HAND.rest + rng.uniform(-0.6, 0.6, (WORLDS, HAND.n_actuators))
            push = rng.normal(0.0, 0.3, (WORLDS, 3))
        theirs._qpos[:], theirs._qvel[:] = ours._qpos, ours._qvel
        warp._warmstart.copy_(torch.from_numpy(started.copy()))
        speeds = ours._qvel[:, : HAND.n_joints].copy()
        for worlds in (ours, theirs):
            worlds._ctrl[:], worlds._force[:] = targets, push
            worlds.variation.stick(speeds)
            worlds._batch.step(nstep=1)
        found.append(np.abs(ours._qvel - theirs._qvel).max(axis=1))
    assert warp.lost == 0
    return np.array(found), theirs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "strength"), [("block", 0.0), ("block", 0.7), ("block", -0.7), ("prism", 0.5)]
)
def test_a_step_is_that_of_c_mujoco(target: str, strength: float) -> None:
    """To single precision, with boxes, capsules and meshes."""
    velocities, worlds = differences(target, strength)
    # In a few steps a contact begins or ends, which is decided by the last digit.
    assert np.quantile(velocities, 0.95) < 1e-4
    sizes = {one.object_size for one in worlds.universes}
    assert (len(sizes) > 1) == (strength != 0.0)


@pytest.mark.slow
def test_every_field_of_a_universe_arrives_in_its_world() -> None:
    """A changed field changes the step as in C MuJoCo; unsent, it would stay nominal."""
    pytest.importorskip("mujoco_warp")
    worlds = environment("block", on_cpu, 0.7)
    warp = worlds._batch
    assert isinstance(warp, WarpPhysics)
    warp.step(nstep=1)
    for name in OWN:
        sent = warp._model_views[name].numpy()
        wanted = warp.expand(name).reshape(sent.shape)
        if name == "geom_friction":
            wanted = np.maximum(wanted, [0.0, 1e-5, 0.0])
        # `set_const` computes bounds in single precision.
        np.testing.assert_allclose(sent, wanted, rtol=1e-5, atol=1e-6, err_msg=name)
    assert {*OWN, *COMMON} == {*FIELDS, "geom_dataid"}


@pytest.mark.slow
def test_torsional_friction_is_on_where_a_world_has_it() -> None:
    pytest.importorskip("mujoco_warp")
    worlds = environment("block", on_cpu)
    warp = worlds._batch
    assert isinstance(warp, WarpPhysics)
    geom = build_spec(HAND, BLOCK).compile().geom(OBJECT).id
    warp.step(nstep=1)
    assert warp._condim.numpy()[geom] == 3
    strengths = np.zeros((1, len(AXES)))
    strengths[0, NAMES.index("torsional_friction")] = 1.0
    worlds.variation.draw(np.array([1]), np.random.default_rng(3), strengths)
    warp.step(nstep=1)
    assert warp._condim.numpy()[geom] == 4
    worlds.variation.draw(np.array([1]), np.random.default_rng(3), 0.0 * strengths)
    warp.step(nstep=1)
    assert warp._condim.numpy()[geom] == 3


@pytest.mark.slow
def test_no_contact_is_lost_where_there_is_too_little_room(
    capfd: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("mujoco_warp")
    small = Room(contacts=1, convex=1, rows=30)
    wide = environment("block", on_cpu)
    narrow = environment("block", lambda model, size: WarpPhysics(model, size, "cpu", small))
    for worlds in (wide, narrow):
        for _ in range(3):
            worlds._ctrl[:] = HAND.rest
            worlds._batch.step(nstep=5)
    np.testing.assert_allclose(narrow._qpos, wide._qpos, atol=1e-4)
    warp = narrow._batch
    assert isinstance(warp, WarpPhysics)
    assert warp.room.contacts > 1 and warp.room.rows > 30
    assert "contacts need more room" in capfd.readouterr().err


@pytest.mark.slow
def test_a_world_whose_state_is_not_finite_begins_again() -> None:
    pytest.importorskip("mujoco_warp")
    worlds = environment("block", on_cpu)
    warp = worlds._batch
    assert isinstance(warp, WarpPhysics)
    worlds._qvel[2] = np.nan
    warp.step(nstep=1)
    assert warp.lost == 1
    for _ in range(3):
        warp.step(nstep=1)
    assert np.isfinite(worlds._qpos).all() and warp.lost == 1


def model() -> mujoco.MjModel:
    return build_spec(HAND, BLOCK).compile()


def installed(versions: dict[str, str]) -> Callable[[str], str]:
    def version(name: str) -> str:
        return versions[name]

    return version


def test_versions_that_differ_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"mujoco-warp": "3.16.2", "warp-lang": "1.13.0"}
    monkeypatch.setattr("importlib.metadata.version", installed(versions))
    with pytest.raises(EngineError, match=r"mujoco-warp 3\.16\.2 are of different minor") as caught:
        WarpPhysics(model(), 2)
    assert f"mujoco-warp=={mujoco.__version__.rpartition('.')[0]}.*" in str(caught.value)


@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_no_cuda_device_is_one_sentence(device: str) -> None:
    warp = pytest.importorskip("warp")
    pytest.importorskip("mujoco_warp")
    warp.init()
    if warp.is_cuda_available():
        pytest.skip("this machine has one")
    with pytest.raises(EngineError, match=f"--device {device} cannot be used") as caught:
        WarpPhysics(model(), 2, device)
    assert "\n" not in str(caught.value) and "--engine mujoco" in str(caught.value)


def test_more_worlds_than_memory_are_one_sentence() -> None:
    with pytest.raises(EngineError, match=r"`worlds` of the recipe to 1073741 at most") as caught:
        check_memory(10_000_000, 1000.0, 2.0**30, "cuda:0")
    assert "\n" not in str(caught.value)
    pytest.importorskip("mujoco_warp")
    with pytest.raises(EngineError, match=r"100000000 worlds need .* GiB and this machine has"):
        WarpPhysics(model(), 100_000_000)
