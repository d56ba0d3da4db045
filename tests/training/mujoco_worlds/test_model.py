"""The MuJoCo model agrees with the hand file."""

import mujoco
import numpy as np
import pytest

from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.kinematics import fingertip_positions, link_poses
from inhand.hardware.model.solids import link_inertial
from inhand.perception.objects import load_object
from inhand.training.mujoco_worlds.model import build_spec

HAND = load_hand("dactyl24")


@pytest.mark.parametrize("name", ["block", "prism"])
def test_the_model_has_the_files_masses_inertias_and_limits(name: str) -> None:
    target = load_object(name)
    model = build_spec(HAND, target).compile()
    for link in HAND.links:
        body = model.body(link.name)
        assert body.mass[0] == pytest.approx(link.mass)
        _, inertia = link_inertial(link)
        np.testing.assert_allclose(np.sort(body.inertia), np.linalg.eigvalsh(inertia), rtol=1e-9)
        np.testing.assert_allclose(model.joint(link.joint).range, link.range)
    assert model.body("object").mass[0] == pytest.approx(target.mass)
    np.testing.assert_allclose(model.actuator_forcerange[:, 1], HAND.torque_limit)


def test_forward_kinematics_agree_to_a_tenth_of_a_millimetre() -> None:
    model = build_spec(HAND, load_object("block")).compile()
    data = mujoco.MjData(model)
    rng = np.random.default_rng(7)
    for actuators in rng.uniform(HAND.lower, HAND.upper, (50, HAND.n_actuators)):
        data.qpos[: HAND.n_joints] = HAND.joint_angles(actuators)
        mujoco.mj_kinematics(model, data)
        rotations, positions = link_poses(HAND, HAND.joint_angles(actuators))
        np.testing.assert_allclose(data.xpos[1:25], positions, atol=1e-4)
        np.testing.assert_allclose(data.xmat[1:25].reshape(-1, 3, 3), rotations, atol=1e-6)
        tips = fingertip_positions(HAND, actuators)
        assert tips.shape == (5, 3)


def test_only_listed_links_collide_with_each_other() -> None:
    model = build_spec(HAND, load_object("block")).compile()

    def collide(one: int, two: int) -> bool:
        kind, affinity = model.geom_contype, model.geom_conaffinity
        return bool(kind[one] & affinity[two] or kind[two] & affinity[one])

    pairs = {frozenset(pair) for pair in HAND.collision_pairs}
    geom_of = {model.body(model.geom_bodyid[g]).name: g for g in range(model.ngeom)}
    for one, first in geom_of.items():
        for two, second in geom_of.items():
            if one != two:
                expected = "object" in (one, two) or frozenset((one, two)) in pairs
                assert collide(first, second) == expected, (one, two)
