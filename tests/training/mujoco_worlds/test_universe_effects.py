"""Every physics field of a universe has the same effect in every engine.

Each test measures one effect and compares it with what mechanics says, so that the engines
agree with it and therefore with each other. Tolerances are stated with each.
"""

from typing import Any

import mujoco
import numpy as np
import pybullet
import pytest

from inhand.sim_backend.world import World
from inhand.training.mujoco_worlds.world import MujocoWorld
from tests.training.effects import (
    BLOCK,
    ENGINES,
    FAR,
    FLAT,
    HAND,
    MUJOCO,
    ON,
    ON_PALM,
    PYBULLET,
    STIFF_WRIST,
    TORQUE,
    WEIGHTLESS,
    Engine,
    fall,
    onsets,
    per_actuator,
    per_joint,
    respond,
    resting_height,
    rise_time,
    run,
    slide,
    top_speed,
    velocity,
)

both = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
FINGER = "FFJ3"
SERVO = HAND.actuators[HAND.actuator_names.index(FINGER)]
LINK = HAND.links[HAND.joint_names.index(FINGER)]


@both
def test_gravity_is_the_acceleration_of_free_fall(engine: Engine) -> None:
    """To 0.1 %."""
    gravity = (1.0, -2.0, -8.0)
    np.testing.assert_allclose(fall(engine.world(gravity=gravity)), gravity, rtol=1e-3)


@both
def test_the_time_of_a_fall_follows_from_gravity(engine: Engine) -> None:
    """20 cm, to two steps."""
    world = engine.world()
    steps = 0
    while world.object_pose()[0][2] > FAR[2] - 0.2:
        world.step(HAND.rest, ON)
        steps += 1
    expected = np.sqrt(2 * 0.2 / 9.81)
    assert steps * world.timestep == pytest.approx(expected, abs=2 * world.timestep)


@both
@pytest.mark.parametrize("friction", [0.3, 0.5, 0.7])
def test_friction_is_the_tangent_of_the_slip_angle(engine: Engine, friction: float) -> None:
    """The block stays on a palm 3 degrees flatter, and leaves on one 3 degrees steeper.

    MuJoCo's contacts creep: what counts as sliding is more than 25 mm in 0.6 s.
    """
    # The wrist sags by about one degree more.
    angle = np.degrees(np.arctan(friction)) - 1.0
    flatter = slide(engine, angle - 3.0, friction=friction)
    steeper = slide(engine, angle + 3.0, friction=friction)
    assert flatter.slope < friction < steeper.slope
    assert flatter.slid < 0.025 < steeper.slid


@both
def test_the_centre_of_mass_decides_whether_the_block_topples(engine: Engine) -> None:
    """Leaning by 44 degrees, it stands or falls by 5 mm; mechanics say 39 and 50 degrees.

    Of a block whose edges are sharp in Drake too.
    """
    downhill, uphill = (
        slide(
            engine,
            43.0,
            friction=3.0,
            center_of_mass=(0.0, offset, 0.0),
            drake={"edge_radius": 0.0},
        )
        for offset in (0.005, -0.005)
    )
    assert uphill.turned < np.radians(5) < np.radians(15) < downhill.turned


@both
@pytest.mark.parametrize("size", [0.95, 1.05])
def test_the_size_of_the_object_is_how_high_it_lies(engine: Engine, size: float) -> None:
    """To 0.2 mm; MuJoCo's soft contact gives about 0.1 mm."""
    world = engine.world(ON_PALM, object_size=size, actuator_gain=STIFF_WRIST)
    assert resting_height(world) == pytest.approx(size * BLOCK.size[2] / 2, abs=2e-4)


def test_pushes_are_the_same_forces_in_every_engine() -> None:
    """Velocities after half a second of pushes, to 1 %; twice the mass takes half the speed."""
    pushed: dict[str, Any] = {"gravity": WEIGHTLESS, "push_rate": 20.0, "push_acceleration": 1.0}
    # A velocity between two positions is only comparable over equal steps.
    pushed["mujoco"] = pushed["drake"] = {"timestep": PYBULLET.world().timestep}
    light, heavy = (
        [velocity(engine.world(object_mass=mass, **pushed)) for engine in ENGINES]
        for mass in (0.75, 1.5)
    )
    assert np.linalg.norm(light[0]) > 0.05
    for less, more in zip(light, heavy, strict=True):
        np.testing.assert_allclose(less, light[0], rtol=0.01)
        np.testing.assert_allclose(2 * more, less, rtol=1e-6)


@both
def test_pushes_come_as_often_as_they_should(engine: Engine) -> None:
    """None without a rate."""
    world = engine.world(gravity=WEIGHTLESS, push_acceleration=1.0)
    assert np.abs(velocity(world)).max() < 1e-9


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
def test_link_masses_and_gains_decide_how_far_the_wrist_sags(factor: float) -> None:
    """To 2 %: the sag is the weight's torque over the gain."""
    nominal = 0.0854
    for engine in ENGINES:
        heavy = engine.world(link_mass=(factor,) * HAND.n_joints)
        soft = engine.world(actuator_gain=per_actuator("WRJ1", 1 / factor, 1.0))
        for world in (heavy, soft):
            run(world, 2.0, FLAT)
            sag = -world.joint_angles()[HAND.joint_names.index("WRJ1")]
            assert sag == pytest.approx(nominal * factor, rel=0.02)


@pytest.mark.parametrize(
    ("gain", "damping"), [(1.0, 1.0), (1.0, 3.0), (1.0, 0.5), (1.5, 1.0), (0.75, 1.0)]
)
def test_gain_and_damping_decide_how_fast_a_servo_answers(gain: float, damping: float) -> None:
    """63 % of a step: damping over gain and a little inertia; the engines agree to 5 ms."""
    times = [
        rise_time(
            engine.world(
                gravity=WEIGHTLESS,
                actuator_gain=per_actuator(FINGER, gain, 1.0),
                joint_damping=per_joint(FINGER, damping, 1.0),
            ),
            FINGER,
        )
        for engine in ENGINES
    ]
    np.testing.assert_allclose(times, times[0], rtol=0.0, atol=0.005)
    expected = LINK.damping * damping / (SERVO.gain * gain)
    assert expected - 0.005 < times[0] < expected + 0.04


@both
@pytest.mark.parametrize(("torque", "friction"), [(0.75, 0.0), (1.25, 0.0), (1.0, 0.1)])
def test_torque_limit_and_friction_decide_the_top_speed(
    engine: Engine, torque: float, friction: float
) -> None:
    """To 2 %: what friction leaves of the torque, over the damping."""
    world = engine.world(
        gravity=WEIGHTLESS,
        actuator_gain=per_actuator(FINGER, 3.0, 1.0),
        joint_damping=per_joint(FINGER, 3.0, 1.0),
        torque_limit=per_actuator(FINGER, torque, 1.0),
        joint_friction=per_joint(FINGER, friction, 0.0),
    )
    expected = (SERVO.torque_limit * torque - friction) / (3.0 * LINK.damping)
    assert top_speed(world, FINGER) == pytest.approx(expected, rel=0.02)


@both
@pytest.mark.parametrize("factor", [0.75, 1.25])
def test_a_stalled_servo_draws_the_current_of_its_torque_limit(
    engine: Engine, factor: float
) -> None:
    """Exactly: torque limit over torque constant."""
    world = engine.world(torque_limit=per_actuator(FINGER, factor, 1.0))
    respond(world, FINGER, 3.0, 0.5)
    current = world.encoders()[2][HAND.actuator_names.index(FINGER)]
    assert current == pytest.approx(factor * SERVO.torque_limit / TORQUE)


@both
@pytest.mark.parametrize("offset", [-0.1, 0.0, 0.1])
def test_a_joint_stops_at_its_offset_limit(engine: Engine, offset: float) -> None:
    """At full torque, to 0.02 rad; MuJoCo's limit gives 0.015."""
    offsets = np.zeros((HAND.n_joints, 2))
    offsets[HAND.joint_names.index(FINGER), 1] = offset
    world = engine.world(gravity=WEIGHTLESS, limit_offset=tuple(offsets.ravel().tolist()))
    _, angles = respond(world, FINGER, 3.0, 1.5)
    assert angles[-1] == pytest.approx(LINK.range[1] + offset, abs=0.02)


@both
def test_backlash_hides_the_joint_from_the_encoder(engine: Engine) -> None:
    """The joint stops where the slack begins to 0.01 rad; the encoder stands at the target."""
    world = engine.world(gravity=WEIGHTLESS, backlash=per_actuator(FINGER, 0.05, 0.0))
    _, angles = respond(world, FINGER, 0.3, 2.0)
    assert angles[-1] == pytest.approx(0.25, abs=0.01)
    assert world.encoders()[0][HAND.actuator_names.index(FINGER)] == pytest.approx(0.3, abs=1e-4)


@both
@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05])
def test_a_delayed_servo_moves_that_much_later(engine: Engine, delay: float) -> None:
    """To the step."""
    world = engine.world(gravity=WEIGHTLESS, action_delay=per_actuator(FINGER, delay, 0.0))
    times, angles = respond(world, FINGER, 0.3, 0.2)
    moved = times[np.argmax(angles > angles[0] + 1e-4)]
    assert delay < moved <= delay + 3 * world.timestep


@both
def test_jitter_makes_commands_late_by_half_of_it_on_average(engine: Engine) -> None:
    """Over 40 commands: each up to 10 ms late, 5 ms on average to 2 ms; none without."""
    jittery, steady = (
        onsets(engine.world(gravity=WEIGHTLESS, control_jitter=jitter), FINGER, 40)
        for jitter in (0.01, 0.0)
    )
    late = jittery - steady
    assert np.ptp(steady) < 1e-6
    assert -1e-6 < late.min() < 0.003 and 0.007 < late.max() < 0.01 + 1e-6
    assert late.mean() == pytest.approx(0.005, abs=0.002)


def test_solver_settings_are_what_the_engines_use() -> None:
    solver = {"timestep": 0.005, "iterations": 20, "contact_time": 0.012, "elliptic_cone": True}
    world = MUJOCO.world(mujoco=solver)
    assert isinstance(world, MujocoWorld)
    option = world.model.opt
    assert (option.timestep, option.iterations) == (0.005, 20)
    assert option.cone == mujoco.mjtCone.mjCONE_ELLIPTIC
    assert world.model.geom("object").solref[0] == 0.012
    other = PYBULLET.world(pybullet={"timestep": 0.001, "iterations": 77})
    assert isinstance(other, World)
    used = pybullet.getPhysicsEngineParameters(physicsClientId=other.client)
    assert (used["fixedTimeStep"], used["numSolverIterations"]) == (0.001, 77)


def test_softer_contacts_let_the_object_sink_deeper() -> None:
    """Twice MuJoCo's contact time constant, at least twice the depth at rest."""
    depths = [
        BLOCK.size[2] / 2 - resting_height(MUJOCO.world(ON_PALM, mujoco={"contact_time": time}))
        for time in (0.02, 0.04)
    ]
    assert depths[1] > 2 * depths[0] > 0


def test_an_engine_ignores_the_other_engines_settings() -> None:
    mixed: dict[str, Any] = {"mujoco": {"timestep": 0.005}, "pybullet": {"timestep": 0.001}}
    assert PYBULLET.world(**mixed).timestep == 0.001
    assert MUJOCO.world(**mixed).timestep == 0.005
