"""Imported hands stand still: strength of joints that no model says, and the object's start."""

from pathlib import Path

import numpy as np
import pytest

from inhand.hardware.dynamixel.hand_check import check_servos
from inhand.hardware.dynamixel.simulated_servos import with_servos
from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.shape_gap import shape_gap
from inhand.hardware.model.universe import Universe
from inhand.perception.objects import load_object
from inhand.sim_backend.world import World
from inhand.training.mujoco_worlds.hand_command import Check, Import
from inhand.training.mujoco_worlds.world import MujocoWorld
from tests.training.mujoco_worlds.test_hand_import import MJCF, URDF, imported


def test_the_effort_of_a_model_is_the_torque_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = URDF.replace('effort="1"', 'effort="0.7"', 1)
    (tmp_path / "effort.urdf").write_text(text)
    assert Import(tmp_path / "effort.urdf", tmp_path / "effort.toml").run() == 0
    assert load_hand(tmp_path / "effort.toml").torque_limit.tolist() == [0.7]
    assert "torque limit 0.7 N·m, the effort that the model allows, of" in capsys.readouterr().out
    # Some makers write a number that stands for no limit.
    (tmp_path / "effort.urdf").write_text(URDF.replace('effort="1"', 'effort="1000"'))
    Import(tmp_path / "effort.urdf", tmp_path / "effort.toml", overwrite=True).run()
    assert load_hand(tmp_path / "effort.toml").torque_limit.tolist() == [0.5]
    assert "left out: the effort of 1000 N·m" in capsys.readouterr().out
    # Who says another one means it.
    Import(
        tmp_path / "effort.urdf", tmp_path / "effort.toml", torque_limit=0.2, overwrite=True
    ).run()
    assert load_hand(tmp_path / "effort.toml").torque_limit.tolist() == [0.2]


@pytest.mark.parametrize(("servo", "most"), [("", 10.6), ("XC330-M288", 0.93)])
def test_no_torque_limit_is_more_than_a_servo_has(
    tmp_path: Path, servo: str, most: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """The daemon would refuse such a hand, also a simulated one, whose bus has servos."""
    (tmp_path / "strong.urdf").write_text(URDF.replace('effort="1"', 'effort="30"'))
    out = tmp_path / "strong.toml"
    Import(tmp_path / "strong.urdf", out, servo_model=servo).run()
    assert "approximated: torque limit 30 →" in capsys.readouterr().out
    hand = load_hand(out)
    assert hand.torque_limit[0] == pytest.approx(most, abs=0.05)
    check_servos(with_servos(hand), 57600)


def test_a_servo_model_that_is_not_known_is_refused(tmp_path: Path) -> None:
    (tmp_path / "two.urdf").write_text(URDF)
    with pytest.raises(DescriptionError, match="servo model AX-12 is not known here; known are XL"):
        Import(tmp_path / "two.urdf", tmp_path / "two.toml", servo_model="AX-12").run()


HEAVY = MJCF.replace('axis="0 1 0" range="-1 1"', 'axis="0 1 0" range="-1 1" damping="0.5"', 1)
HEAVY = HEAVY.replace('<geom type="capsule" size="0.01 0.02"/>', '<geom size="0.04" mass="1"/>', 1)


@pytest.mark.parametrize("engine", [World, MujocoWorld])
def test_what_is_assumed_carries_heavy_links(
    tmp_path: Path, engine: type[World], capsys: pytest.CaptureFixture[str]
) -> None:
    """The wrist of the Shadow hand carries a kilogram, and sank under a gain of 1 N·m/rad."""
    text = HEAVY.replace('pos="0 0 0.02">', 'pos="0 0 0.02" euler="0 1.571 0">', 1)
    text = text.replace('mass="1"', 'mass="1" pos="0 0 0.12"', 1)
    hand = imported(tmp_path, text)
    assert hand.torque_limit[0] > 2 and hand.torque_limit[1] == 0.5
    assert "assumed: gain 12 N·m/rad and torque limit 2.4 N·m" in capsys.readouterr().out
    world = engine(hand, load_object("block"), Universe(), seed=0)
    for _ in range(round(2.0 / world.timestep)):
        world.step(hand.rest, np.ones(hand.n_actuators, dtype=np.bool_))
    np.testing.assert_allclose(world.joint_angles(), hand.rest, atol=0.12)
    world.close()


def test_an_actuator_that_is_too_weak_or_soft_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = HEAVY.replace('mass="1"', 'mass="1" pos="0 0 0.12"', 1)
    servo = '<actuator><position joint="J2" kp="{}" forcerange="-{} {}"/></actuator></mujoco>'
    for gain, limit, words in ((9, 0.6, "too weak: the links weigh"), (1, 3, "soft: under the")):
        imported(tmp_path, text.replace("</mujoco>", servo.format(gain, limit, limit)))
        (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith(words)]
        assert line.endswith("of J2")
        (tmp_path / "it.toml").unlink()


FINGERS_UP = """<mujoco><compiler angle="radian" autolimits="true"/><worldbody><body name="palm">
<geom type="box" size="0.04 0.04 0.01"/>{}</body></worldbody></mujoco>""".format(
    "".join(
        f'<body name="{name}0" pos="{x} 0 0.02"><joint name="{name}0" axis="0 1 0" range="-1 1"/>'
        f'<geom type="capsule" size="0.01 0.03" pos="0 0 0.04"/>'
        f'<body name="{name}1" pos="0 0 0.08">'
        f'<joint name="{name}1" axis="0 1 0" range="-1 1"/><geom type="capsule" size="0.01 0.03" '
        'pos="0 0 0.04"/></body></body>'
        for name, x in (("a", -0.015), ("b", 0.015))
    )
)


@pytest.mark.parametrize("engine", [World, MujocoWorld])
def test_no_object_begins_inside_of_the_fingers(
    tmp_path: Path, engine: type[World], capsys: pytest.CaptureFixture[str]
) -> None:
    """As in the models of the Ability, Inspire and Schunk hands, whose fingers point up."""
    hand = imported(tmp_path, FINGERS_UP)
    start = np.array([hand.workspace.object_start])
    assert shape_gap(hand, hand.rest, start)[0] >= 0.05
    assert "palm: the fingers point up" in capsys.readouterr().out
    world = engine(hand, load_object("block"), Universe(), seed=0)
    before, fastest = world.joint_angles(), 0.0
    for _ in range(round(0.1 / world.timestep)):
        world.step(hand.rest, np.zeros(hand.n_actuators, dtype=np.bool_))
        now = world.joint_angles()
        fastest = max(fastest, float(np.abs(now - before).max()) / world.timestep)
        before = now
    world.close()
    # A faster joint is a fault for the daemon.
    assert fastest < 20.0


def test_an_object_that_is_put_inside_of_the_hand_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(tmp_path, FINGERS_UP, object_start=(0.015, 0.0, 0.06))
    assert "object_start is in a shape of the hand at rest" in capsys.readouterr().out
    assert Check(str(tmp_path / "it.toml")).run() == 0
    said = capsys.readouterr().out
    assert "move object_start" in said and "all right" not in said
