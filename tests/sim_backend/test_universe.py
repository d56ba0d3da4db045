"""Universes: nominal at scale 0, inside their ranges, strict when read."""

from pathlib import Path

import numpy as np
import pytest

from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import SENSING, Universe, UniverseError, load_universe, sample

HAND = load_hand("dactyl24")


def test_scale_zero_is_nominal() -> None:
    drawn = sample(HAND, np.random.default_rng(1), 0.0)
    assert (drawn.object_size, drawn.object_mass, drawn.friction) == (1.0, 1.0, 1.0)
    assert drawn.gravity == (0.0, 0.0, -9.81)
    assert set(drawn.link_mass) == {1.0}
    assert set(drawn.backlash + drawn.action_delay + drawn.joint_friction) == {0.0}


def test_scale_one_has_the_published_ranges() -> None:
    rng = np.random.default_rng(2)
    drawn = [sample(HAND, rng, 1.0) for _ in range(500)]
    friction = np.array([one.friction for one in drawn])
    assert 0.7 <= friction.min() < 0.75
    assert 1.25 < friction.max() <= 1.3
    gravity = np.array([one.gravity for one in drawn])
    np.testing.assert_allclose(gravity.std(axis=0), 0.4, rtol=0.15)


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "heavy.toml"
    path.write_text("object_mass = 1.5\n[mujoco]\ntimestep = 0.005\n")
    universe = load_universe(path, HAND)
    assert universe.object_mass == 1.5
    assert universe.mujoco.timestep == 0.005
    assert universe.friction == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mass = 1.5", "unknown field `mass`"),
        ("friction = 0.0", "friction must be positive"),
        ("backlash = [0.1]", "backlash has 1 values, not 20"),
        ("friction = [", "universe file"),
        ("object_mass = nan", "object_mass must be positive"),
        ("control_jitter = -0.01", "control_jitter must not be negative"),
        ("object_size = 55", "object_size is a factor; 55 is more than 20"),
        ("pose_latency = 60", "pose_latency is in s; 60 is more than 10"),
        ("center_of_mass = [0.0, -2.0, 0.0]", "center_of_mass is in m; 2 is more than 1"),
        ("mounting_tilt = [0.0, -30.0]", "mounting_tilt is in rad; 30 is more than 3.142"),
        ("position_noise = [0.001, -0.005]", "position_noise must not be negative"),
        ("pose_dropout = 1.5", "pose_dropout is a probability, at most 1"),
        ("[pybullet]\ntimestep = 0.0", r"\[pybullet\] timestep must be positive"),
        ("[mujoco]\niterations = 0", r"iterations at least 1"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UniverseError, match=message):
        load_universe(path, HAND)


def test_a_draw_of_one_kind_leaves_the_other_nominal_and_takes_the_same_numbers() -> None:
    every, physics, sensing = (
        sample(HAND, np.random.default_rng(5), 1.0, vary)
        for vary in ("everything", "physics", "sensing")
    )
    nominal = Universe()
    for name in Universe.__struct_fields__:
        kept, lost = (sensing, physics) if name in SENSING else (physics, sensing)
        assert getattr(kept, name) == getattr(every, name), name
        assert getattr(lost, name) == getattr(nominal, name), name
