"""Dynamixel X-series servo models: their data sheets, and the factory settings of their registers.

Source: Robotis e-manual, the page of each model: "Specifications" and "Control Table". Stall torque
and current are those at 12 V; at 5 V for the 330 series with an M in its name, at 11.1 V with a T,
and at 24 V for models with a V.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

CURRENT_BASED_POSITION = 5
"""Operating mode: position control with a current limit."""
POSITION = 3
"""Operating mode: position control with a PWM limit."""
FULL_PWM = 885
"""Goal PWM of full supply voltage [counts]; the factory setting of the PWM limit."""

SHUTDOWN = 0x34
"""Factory setting of most models: shut down when overheated, overloaded, or after a shock."""
SHUTDOWN_ON_VOLTAGE = 0x35
"""Factory setting of the XL330: shut down also if the input voltage is out of range."""


@dataclass(frozen=True, slots=True)
class Series:
    """What the models of a series have in common.

    Attributes:
        voltage: input voltage, lowest and highest; factory setting of the voltage limits [V].
        supply: recommended supply voltage [V].
        hottest: temperature limit, at which the servo shuts down [°C].
        current_unit: [A] per count; for a model that reports load, the current of this load.
        velocity_gains: proportional and integral gain of the velocity controller.
        gains: proportional, integral and derivative gain of the position controller.
        small: whether it is of the 330 series, which has fewer indirect addresses, a PWM slope,
            and no 4.5 Mbaud.
        current_control: whether it has current control; otherwise its PWM is limited.
        external_ports: number of external ports.
        led: whether it has a LED.
        dual: whether it can follow a second servo by a synchronisation cable.
        two_axes: whether two axes, each with its own id and control table, share one housing and
            one communication module: baud rate and protocol of one axis are those of the other.
    """

    voltage: tuple[float, float]
    supply: float
    hottest: int
    current_unit: float
    velocity_gains: tuple[int, int] = (100, 1920)
    gains: tuple[int, int, int] = (800, 0, 0)
    small: bool = False
    current_control: bool = True
    external_ports: int = 0
    led: bool = True
    dual: bool = False
    two_axes: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """Data of a servo model.

    Attributes:
        number: value of the model number register.
        series: what it shares with the models of its series.
        current_limit: factory setting and highest value of the current limit register [counts];
            without current control, the largest load [counts].
        stall_torque: [N·m].
        stall_current: [A].
        velocity_limit: factory setting of the velocity limit [counts].
        own_gains: proportional, integral and derivative gain, if not those of the series.
        own_velocity_gains: proportional and integral gain, if not those of the series.
        shutdown: factory setting of the hardware errors that switch torque off [bits].
        moving_threshold: factory setting of the moving threshold [counts].
    """

    number: int
    series: Series
    current_limit: int
    stall_torque: float
    stall_current: float
    velocity_limit: int
    own_gains: tuple[int, int, int] | None = None
    own_velocity_gains: tuple[int, int] | None = None
    shutdown: int = SHUTDOWN
    moving_threshold: int = 10

    @property
    def current_unit(self) -> float:
        """[A] per count."""
        return self.series.current_unit

    @property
    def torque_per_ampere(self) -> float:
        """Stall torque over stall current [N·m/A]."""
        return self.stall_torque / self.stall_current

    @property
    def most_torque(self) -> float:
        """What its limits allow [N·m]."""
        if not self.current_control:
            return self.stall_torque
        return min(
            self.stall_torque, self.current_limit * self.current_unit * self.torque_per_ampere
        )

    @property
    def voltage(self) -> tuple[float, float]:
        """Lowest and highest input voltage [V]."""
        return self.series.voltage

    @property
    def hottest(self) -> int:
        """Temperature limit [°C]."""
        return self.series.hottest

    @property
    def current_control(self) -> bool:
        """Whether it has current control; otherwise its PWM is limited."""
        return self.series.current_control

    @property
    def gains(self) -> tuple[int, int, int]:
        """Factory settings of proportional, integral and derivative gain of position."""
        return self.own_gains or self.series.gains

    @property
    def velocity_gains(self) -> tuple[int, int]:
        """Factory settings of proportional and integral gain of velocity."""
        return self.own_velocity_gains or self.series.velocity_gains

    @property
    def operating_mode(self) -> int:
        """Operating mode for position control with a torque limit."""
        return CURRENT_BASED_POSITION if self.current_control else POSITION

    @property
    def bauds(self) -> Mapping[int, int]:
        """Value of the baud rate register by bits a second."""
        return _SMALL_BAUD_RATES if self.series.small else BAUD_RATES

    def torque_goal(self, torque: float) -> int:
        """Value of the torque register for a torque limit [N·m]."""
        if not self.current_control:
            return min(round(FULL_PWM * torque / self.stall_torque), FULL_PWM)
        return min(round(torque / self.torque_per_ampere / self.current_unit), self.current_limit)


_SMALL_BAUD_RATES = MappingProxyType(
    {9600: 0, 57600: 1, 115200: 2, 1000000: 3, 2000000: 4, 3000000: 5, 4000000: 6}
)
BAUD_RATES = MappingProxyType({**_SMALL_BAUD_RATES, 4500000: 7})
"""Value of the baud rate register by bits a second; the 330 series ends at 4 Mbaud."""

_XL330 = Series((3.5, 7.0), 5.0, 70, 0.001, (180, 1600), (400, 0, 0), small=True)
_XC330_M = Series((3.5, 7.0), 5.0, 70, 0.001, (50, 1600), (1100, 0, 500), small=True)
_XC330_T = Series((5.5, 14.0), 11.1, 70, 0.001, (40, 1200), (900, 0, 0), small=True)
_XM430 = Series((9.5, 16.0), 12.0, 80, 0.00269)
_XH430 = Series((9.5, 16.0), 12.0, 80, 0.00269, gains=(900, 0, 0))
_XH430_V = Series((11.0, 30.0), 24.0, 80, 0.00134)
_X540 = Series((9.5, 16.0), 12.0, 80, 0.00269, external_ports=3, dual=True)
_X540_V = Series((11.0, 30.0), 24.0, 80, 0.00269, external_ports=3, dual=True)
_XW430 = Series((9.5, 16.0), 12.0, 80, 0.00269, gains=(900, 0, 0), led=False)
_XW540 = Series((9.5, 16.0), 12.0, 80, 0.00269, led=False)
# Their load register is in thousandths of the largest load.
_XL430 = Series((6.0, 14.0), 11.1, 72, 0.0014, (100, 1000), (640, 0, 4000), current_control=False)
_XC430 = Series((6.0, 16.0), 12.0, 80, 0.0014, current_control=False)
_2XL430 = Series(
    (6.0, 14.0),
    11.1,
    72,
    0.0014,
    (100, 1800),
    (640, 0, 2000),
    current_control=False,
    two_axes=True,
)
_2XC430 = Series(
    (6.0, 16.0), 12.0, 80, 0.0014, gains=(700, 0, 0), current_control=False, two_axes=True
)

MODELS = {
    "XL330-M077": Model(
        1190, _XL330, 1750, 0.215, 1.47, 1620, (400, 400, 0), (40, 400), SHUTDOWN_ON_VOLTAGE
    ),
    "XL330-M288": Model(1200, _XL330, 1750, 0.52, 1.47, 445, shutdown=SHUTDOWN_ON_VOLTAGE),
    "XC330-M181": Model(1230, _XC330_M, 2352, 0.60, 1.8, 545, (1200, 0, 500), (100, 1400)),
    "XC330-M288": Model(1240, _XC330_M, 2352, 0.93, 1.8, 350),
    "XC330-T181": Model(1210, _XC330_T, 910, 0.76, 0.80, 510),
    "XC330-T288": Model(1220, _XC330_T, 910, 0.92, 0.80, 320),
    "XL430-W250": Model(1060, _XL430, 1000, 1.5, 1.4, 265),
    "XC430-W150": Model(1070, _XC430, 1000, 1.6, 1.4, 460, (460, 0, 0), moving_threshold=20),
    "XC430-W240": Model(1080, _XC430, 1000, 1.9, 1.4, 306, (700, 0, 0)),
    "2XL430-W250": Model(1090, _2XL430, 1000, 1.5, 1.4, 250),
    "2XC430-W250": Model(1160, _2XC430, 1000, 1.8, 1.4, 275),
    "XM430-W210": Model(1030, _XM430, 1193, 3.0, 2.3, 330),
    "XM430-W350": Model(1020, _XM430, 1193, 4.1, 2.3, 200),
    "XM540-W150": Model(1130, _X540, 2047, 7.3, 4.4, 230),
    "XM540-W270": Model(1120, _X540, 2047, 10.6, 4.4, 128),
    "XH430-W210": Model(1010, _XH430, 648, 2.5, 1.3, 210),
    "XH430-W350": Model(1000, _XH430, 648, 3.4, 1.3, 130),
    "XH430-V210": Model(1050, _XH430_V, 689, 2.6, 0.7, 230),
    "XH430-V350": Model(1040, _XH430_V, 689, 3.3, 0.7, 135),
    "XH540-W150": Model(1110, _X540, 2047, 7.1, 4.9, 300),
    "XH540-W270": Model(1100, _X540, 2047, 9.9, 4.9, 167),
    "XH540-V270": Model(1140, _X540_V, 2047, 9.2, 2.4, 128),
    "XH540-V150": Model(1150, _X540_V, 1188, 6.4, 2.4, 230),
    # XD: the XH with a longer life; its control table is that of the XH.
    "XD430-T210": Model(1011, _XH430, 648, 2.5, 1.3, 210),
    "XD430-T350": Model(1001, _XH430, 648, 3.4, 1.3, 130),
    "XD540-T150": Model(1111, _X540, 2047, 7.1, 4.9, 300),
    "XD540-T270": Model(1101, _X540, 2047, 9.9, 4.9, 167),
    # The page of the XW430-T200 gives torque and current of the far larger XW540-T140. These are
    # those of the XW430-T333, in the ratio of their gears (200.1 : 333.42).
    "XW430-T200": Model(1280, _XW430, 2047, 1.86, 1.3, 235),
    "XW430-T333": Model(1270, _XW430, 2047, 3.1, 1.3, 139),
    "XW540-T140": Model(1180, _XW540, 2047, 6.9, 4.9, 304),
    "XW540-T260": Model(1170, _XW540, 2047, 9.5, 4.9, 167),
}
