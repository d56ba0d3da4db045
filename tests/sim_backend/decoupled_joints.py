"""Decoupled joints behind emulated servos: no contact, no gravity, no inertial coupling.

A step takes microseconds, without a physics engine. The parameters are known exactly, so that
results of calibration can be compared with them.
"""

import numpy as np

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.registers import Units
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.inertia import actuator_sum, mass_matrix
from inhand.hardware.model.joint_model import coast
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.sim_backend.emulator import ServoBus
from inhand.sim_backend.pybullet_universe import varied_hand
from inhand.sim_backend.servo_dynamics import Servos

_GAIN_UNITS, _DERIVATIVE_UNITS = 128, 16
"""Divisors of the registers (Robotis e-manual, section Position PID Gain)."""
_CYCLE = 0.001
"""Cycle time of a servo's own controller [s]."""


class DecoupledJoints:
    """The joints behind the servos of one bus.

    Gain and damping of the hand file are those with the factory settings of the servos' gains.

    Args:
        hand: the nominal hand.
        universe: its masses, damping, friction, gains, delays and torque limits are used; the
            torque limits as torque per ampere, since servos limit their current.
        timestep: [s].
        seed: of jitter.

    Attributes:
        timestep: [s].
        angle: [rad], (n_actuators,).
    """

    def __init__(
        self, hand: Hand, universe: Universe, timestep: float = 0.001, seed: int = 0
    ) -> None:
        self.timestep = timestep
        varied = varied_hand(hand, universe)
        self._units = Units(hand)
        self._factory = np.array([model.gains for model in self._units.models])
        self._servos = Servos(hand, universe, timestep, np.random.default_rng(seed))
        self._servos.reset(hand.rest)
        self._inertia = np.diag(mass_matrix(varied, hand.rest))
        self._damping = actuator_sum(hand, [link.damping for link in varied.links])
        self._friction = actuator_sum(hand, [link.friction for link in varied.links])
        self._gain = varied.gain
        share = varied.torque_limit / hand.torque_limit
        self.torque_per_ampere: Array = self._units.torque_per_ampere * share
        self._stall = np.array([model.stall_torque for model in self._units.models]) * share
        self.angle, self._speed = np.array(hand.rest), np.zeros(hand.n_actuators)
        self._torque = np.zeros(hand.n_actuators)

    def step(self, bus: ServoBus) -> None:
        """Advances one time step with the servos' present registers."""
        dt = self.timestep
        bus.move(dt)
        gain, slow, bound = self._registers(bus)
        middle = self.angle + dt / 2 * self._speed
        stretch = self._servos.advance(bus.targets(), bus.torque_on(), middle)
        pull = gain * stretch - slow * self._speed * bus.torque_on()
        self._torque = np.clip(pull, -bound, bound)
        self.angle, self._speed = coast(
            middle,
            self._speed,
            self._torque / self._inertia,
            self._damping / self._inertia,
            self._friction / self._inertia,
            dt,
        )

    def encoders(self) -> tuple[Array, Array, Array]:
        """Position [rad], velocity [rad/s] and current [A], each (n_actuators,)."""
        position = self._servos.encoders(self.angle)
        return position, self._speed, self._torque / self.torque_per_ampere

    def _registers(self, bus: ServoBus) -> tuple[Array, Array, Array]:
        """Gain [N·m/rad], damping beyond the usual [N·m·s/rad], torque limit [N·m]."""
        servos = bus.in_order
        usual, _, usual_derivative = self._factory.T
        share = np.array([servo.get(registers.POSITION_P) for servo in servos]) / usual
        derivative = np.array([servo.get(registers.POSITION_D) for servo in servos])
        # Both registers scale one unknown, the torque for a step of the controller's output.
        unit = self._gain / (usual / _GAIN_UNITS)
        amperes = self._units.currents(
            np.array([abs(servo.get(registers.GOAL_CURRENT)) for servo in servos])
        )
        pwm = np.array([abs(servo.get(registers.GOAL_PWM)) for servo in servos])
        bound = np.where(
            [model.current_control for model in self._units.models],
            np.abs(amperes) * self.torque_per_ampere,
            pwm / registers.FULL_PWM * self._stall,
        )
        slow = unit * (derivative - usual_derivative) / _DERIVATIVE_UNITS * _CYCLE
        return self._gain * share, slow, bound
