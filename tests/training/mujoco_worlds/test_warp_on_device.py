"""Worlds of tensors in MuJoCo Warp, on its CPU device: as with arrays on the host."""

import numpy as np
import pytest
import torch

from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.learning.learners import worlds_on_device
from inhand.training.mujoco_worlds.draws import AXES
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.mujoco_worlds.tensor_environment import TensorEnvironment
from inhand.training.mujoco_worlds.warp_on_device import WarpOnDevice
from inhand.training.mujoco_worlds.warp_physics import Room, WarpPhysics
from tests.training.mujoco_worlds.test_tensor_environment import BLOCK, HAND, WORLDS, drawn, put

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def warp() -> None:
    pytest.importorskip("mujoco_warp")


def physics_of(worlds: TensorEnvironment) -> WarpOnDevice:
    assert isinstance(worlds.physics, WarpOnDevice)
    return worlds.physics


@pytest.mark.parametrize("strength", [0.0, 0.7])
def test_steps_are_those_with_the_state_on_the_host(strength: float) -> None:
    """Everything of a policy step, in single precision, from equal states."""
    ours = BatchEnvironment(
        HAND, BLOCK, WORLDS, 1, 5, make_physics=lambda model, size: WarpPhysics(model, size)
    )
    theirs = worlds_on_device(HAND, BLOCK, WORLDS, "cpu", 5)
    assert theirs.observe().dtype == theirs.physics.bind("qpos").dtype == torch.float32
    ids = np.arange(WORLDS)
    for worlds in (ours, theirs):
        worlds.variation.draw(ids, np.random.default_rng(3), drawn(strength))
    theirs._universes.send(ids)
    rng = np.random.default_rng(1)
    put(ours, theirs)
    differences = []
    for _ in range(12):
        actions = rng.uniform(-1.0, 1.0, (WORLDS, HAND.n_actuators))
        physics_of(theirs)._warmstart.copy_(ours._batch._warmstart)  # type: ignore[attr-defined]
        one, other = ours.step(actions), theirs.step(torch.from_numpy(actions))
        np.testing.assert_array_equal(other.reached.numpy(), one.reached)
        pairs = [
            (theirs.observe(), ours.observe()),
            (theirs.privileged(), ours.privileged()),
            (other.reward[:, None], one.reward[:, None]),
        ]
        differences.append([np.abs(a.numpy() - b).max(axis=1) for a, b in pairs])
        put(ours, theirs)
    found = np.array(differences)
    # In a few steps a contact begins or ends, which is decided by the last digit.
    assert np.median(found) < 1e-5
    assert np.quantile(found, 0.8) < 1e-3


def test_no_contact_is_lost_where_there_is_too_little_room(
    capfd: pytest.CaptureFixture[str],
) -> None:
    small = Room(contacts=1, convex=1, rows=5)
    wide, narrow = (
        TensorEnvironment(
            load_hand("dactyl24"),
            load_object("block"),
            WORLDS,
            lambda model, size, room=room: WarpOnDevice(model, size, "cpu", room),  # type: ignore[misc]
            7,
        )
        for room in (None, small)
    )
    for _ in range(2):
        for worlds in (wide, narrow):
            worlds.step(torch.zeros(WORLDS, HAND.n_actuators))
    torch.testing.assert_close(narrow.observe(), wide.observe(), atol=1e-3, rtol=1e-3)
    assert physics_of(narrow).room.contacts > 1 and physics_of(narrow).room.rows > 5
    assert "contacts need more room" in capfd.readouterr().err


def test_a_world_whose_state_is_not_finite_begins_again_alone() -> None:
    worlds = worlds_on_device(HAND, BLOCK, WORLDS, "cpu", 5)
    physics = physics_of(worlds)
    physics.bind("qvel")[2] = torch.nan
    physics._warmstart[2] = torch.nan
    before = physics.bind("qpos").clone()
    physics.step(nstep=1)
    assert physics.lost == 1
    assert torch.equal(physics.bind("qpos")[2], physics._start["qpos"])
    others = [i for i in range(WORLDS) if i != 2]
    assert not torch.equal(physics.bind("qpos")[others], before[others])
    worlds.step(torch.zeros(WORLDS, HAND.n_actuators))
    assert worlds.observe().isfinite().all() and physics.lost == 1


def test_fields_of_a_new_universe_are_sent_at_the_reset() -> None:
    worlds = worlds_on_device(HAND, BLOCK, WORLDS, "cpu", 5)
    physics = physics_of(worlds)
    worlds.harden(float(np.pi), 1.0)
    assert worlds.strengths.shape == (WORLDS, len(AXES)) and worlds.strengths[1:].any(axis=1).all()
    for name in ("body_mass", "dof_damping", "geom_size"):
        sent = physics._model_views[name].numpy()
        wanted = physics.expand(name).reshape(sent.shape)
        np.testing.assert_allclose(sent, wanted, rtol=1e-5, atol=1e-6, err_msg=name)
        assert not np.array_equal(wanted[0], wanted[1])
