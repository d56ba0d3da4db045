"""The effects of rubber, tendons and assembly are the same in every engine.

Each test measures one effect of a field and compares it with what mechanics says.
"""

import numpy as np
import pytest

from inhand.perception import rotations
from tests.training.contacts import (
    CAPSULE,
    INERTIA,
    POINTING,
    indentation,
    on_fingertip,
    rebound,
    spin_down,
)
from tests.training.effects import (
    DRAKE,
    ENGINES,
    FLAT,
    HAND,
    MUJOCO,
    ON_PALM,
    PYBULLET,
    STIFF_WRIST,
    STRONG_WRIST,
    WEIGHTLESS,
    Engine,
    per_actuator,
    per_joint,
    respond,
    run,
)

every = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
of_points = pytest.mark.parametrize("engine", [PYBULLET, MUJOCO], ids=lambda engine: engine.name)
FINGER = "FFJ3"
NUMBER = HAND.actuator_names.index(FINGER)


@of_points
@pytest.mark.parametrize("coefficient", [0.002, 0.005])
def test_torsional_friction_stops_a_block_that_spins_on_a_fingertip(
    engine: Engine, coefficient: float
) -> None:
    """Coefficient times weight over inertia: to 3 %, in MuJoCo to 10 %."""
    slower = spin_down(engine, torsional_friction=coefficient)
    expected = coefficient / INERTIA
    assert slower == pytest.approx(expected, rel=0.1 if engine is MUJOCO else 0.03)


@of_points
def test_without_torsional_friction_a_block_spins_on(engine: Engine) -> None:
    assert abs(spin_down(engine)) < 0.1


@pytest.mark.skipif(DRAKE not in ENGINES, reason="needs the extra drake")
def test_a_rubber_patch_stops_a_spinning_block() -> None:
    """A patch of radius a, pressed parabolically: 8/15 of a times friction and weight, to 10 %."""
    radius = np.sqrt(2 * CAPSULE.size[0] * indentation(DRAKE))
    assert spin_down(DRAKE) == pytest.approx(8 / 15 * radius / INERTIA, rel=0.1)


@every
@pytest.mark.parametrize("softness", [0.0005, 0.001, 0.002])
def test_softness_is_how_much_deeper_a_fingertip_sinks_under_one_newton(
    engine: Engine, softness: float
) -> None:
    """To 10 %."""
    deeper = indentation(engine, contact_softness=softness) - indentation(engine)
    assert deeper == pytest.approx(softness, rel=0.1)


@every
def test_a_soft_contact_gives_less_under_less(engine: Engine) -> None:
    """Half the weight, between 0.4 and 0.75 of the depth."""
    soft = {"contact_softness": 0.001}
    share = indentation(engine, 0.5, **soft) / indentation(engine, 1.0, **soft)
    assert 0.4 < share < 0.75


@every
@pytest.mark.parametrize("softness", [0.001, 0.002])
def test_rebound_is_how_high_the_block_bounces(engine: Engine, softness: float) -> None:
    """Of a fall of 1 cm: to 8 % of it, as the palm gives too.

    In Drake to 12 %: a bounce lasts two or three of its steps.
    """
    heights = []
    for wanted in (0.0, 0.1, 0.2):
        heights.append(rebound(engine, contact_softness=softness, contact_rebound=wanted))
        assert heights[-1] == pytest.approx(wanted, abs=0.12 if engine is DRAKE else 0.08)
    assert heights[0] < heights[1] < heights[2]


@every
def test_the_encoder_does_not_see_the_compliance_of_a_joint(engine: Engine) -> None:
    """The wrist sags by its torque times the compliance more, which the encoder does not see.

    To 2 %.
    """
    wrist = HAND.actuator_names.index("WRJ1")
    joint = HAND.joint_names.index("WRJ1")
    sags = []
    for soft in (0.0, 0.05):
        world = engine.world(compliance=per_actuator("WRJ1", soft, 0.0))
        run(world, 2.0, FLAT)
        sags.append((world.joint_angles()[joint], world.encoders()[0][wrist]))
        world.close()
    (stiff, seen), (loose, read) = sags
    torque = -HAND.gain[wrist] * stiff
    assert seen == pytest.approx(stiff, rel=1e-6)
    assert loose - stiff == pytest.approx(-0.05 * torque, rel=0.04)
    assert read == pytest.approx(seen, rel=0.04)


@every
def test_compliance_and_servo_are_springs_in_series_up_to_the_torque_limit(
    engine: Engine,
) -> None:
    """A stalled servo has its limit torque; its encoder has moved by the stretch of the tendon."""
    world = engine.world(gravity=WEIGHTLESS, compliance=per_actuator(FINGER, 0.1, 0.0))
    respond(world, FINGER, 3.0, 1.0)
    position, _, _ = world.encoders()
    ahead = position[NUMBER] - world.joint_angles()[HAND.joint_names.index(FINGER)]
    assert ahead == pytest.approx(0.1 * HAND.torque_limit[NUMBER], rel=1e-3)


def left(engine: Engine, torque: float, stiction: float) -> float:
    """What a joint of 0.02 N·m friction leaves of a servo's torque after 0.15 s [N·m]."""
    world = engine.world(
        gravity=WEIGHTLESS,
        joint_damping=per_joint(FINGER, 0.3, 1.0),
        joint_friction=per_joint(FINGER, 0.02, 0.0),
        stiction=per_joint(FINGER, stiction, 0.0),
    )
    targets = FLAT.copy()
    run(world, 0.5, targets)
    began = world.joint_angles()[HAND.joint_names.index(FINGER)]
    targets[NUMBER] = began + torque / HAND.gain[NUMBER]
    run(world, 0.15, targets)
    angle = world.joint_angles()[HAND.joint_names.index(FINGER)]
    world.close()
    return float(HAND.gain[NUMBER] * (targets[NUMBER] - angle))


@every
@pytest.mark.parametrize("stiction", [0.01, 0.03])
def test_stiction_adds_to_the_torque_that_starts_a_joint(engine: Engine, stiction: float) -> None:
    """A fifth less than friction and stiction leaves the joint, a fifth more moves it.

    Once it moves, it goes on till friction alone holds it. MuJoCo creeps a little.
    """
    holds = 0.02 + stiction
    assert left(engine, 0.8 * holds, stiction) > 0.8 * 0.8 * holds
    assert left(engine, 1.2 * holds, stiction) < 0.022
    assert left(engine, 1.2 * holds, 0.0) < 0.022


def height_on_tip(engine: Engine, **fields: object) -> float:
    """Of a block that rests on the tip of the finger that points up [m]."""
    world = on_fingertip(engine, 0.5, **fields)
    run(world, 0.3, POINTING)
    height = float(world.object_pose()[0][2])
    world.close()
    return height


@every
def test_longer_links_carry_the_fingertip_further(engine: Engine) -> None:
    """Two links of 2 mm more each, to 0.1 mm."""
    longer = [0.002 * (name in ("FFJ2", "FFJ1")) for name in HAND.joint_names]
    higher = height_on_tip(engine, link_length=longer, lift=0.004) - height_on_tip(engine)
    assert higher == pytest.approx(0.004, abs=1e-4)


@every
@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_a_thicker_fingertip_reaches_further(engine: Engine, factor: float) -> None:
    """By the increase of its radius, to 0.05 mm."""
    radii = per_joint("FFJ1", factor, 1.0)
    lift = CAPSULE.size[0] * (factor - 1.0)
    higher = height_on_tip(engine, shape_radius=radii, lift=lift) - height_on_tip(engine)
    assert higher == pytest.approx(lift, abs=5e-5)


@every
def test_a_tilted_hand_holds_the_block_at_that_tilt(engine: Engine) -> None:
    """Turned by 0.1 rad about two axes, to 0.01 rad, the wrist held; gravity does not turn."""
    tilt = (0.1, -0.1)
    strong = {"actuator_gain": STIFF_WRIST, "torque_limit": STRONG_WRIST}
    turns = []
    middle = np.array(HAND.workspace.center)
    for mounting_tilt in ((0.0, 0.0), tilt):
        turn = rotations.exp(np.array([*mounting_tilt, 0.0]))
        x, y, z = middle + rotations.rotate(turn, np.array(ON_PALM) - middle)
        world = engine.world((x, y, z + 0.002), mounting_tilt=mounting_tilt, **strong)
        world.place_object(turn)
        run(world, 0.8, FLAT)
        turns.append(world.object_pose()[1])
        world.close()
    level, tilted = turns
    between = rotations.log(rotations.multiply(tilted, rotations.conjugate(level)))
    np.testing.assert_allclose(between[:2], tilt, atol=0.015)


@every
@pytest.mark.parametrize("latency", [0.02, 0.08])
def test_action_latency_delays_every_servo(engine: Engine, latency: float) -> None:
    """On top of a servo's own delay, to the step."""
    delay = per_actuator(FINGER, 0.02, 0.0)
    world = engine.world(gravity=WEIGHTLESS, action_delay=delay, action_latency=latency)
    times, angles = respond(world, FINGER, 0.3, 0.2)
    moved = times[np.argmax(angles > angles[0] + 1e-4)]
    assert latency + 0.02 < moved <= latency + 0.02 + 3 * world.timestep
