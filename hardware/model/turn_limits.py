"""Where a servo's turn ends: a joint must not run through it, or it is read a turn off."""

from math import pi


def turn_problem(name: str, zero: float, low: float, high: float) -> str:
    """Why a servo cannot tell where its joint is after a restart; empty if it can.

    Args:
        name: of the actuator.
        zero: angle of the joint where its servo is in the middle of its turn [rad].
        low: lower end of the joint's range [rad].
        high: upper end [rad].
    """
    if max(abs(low - zero), abs(high - zero)) < pi:
        return ""
    return (
        f"actuator {name}: range {low:.2f} to {high:.2f} rad crosses the end of its servo's turn "
        f"(zero {zero:.2f} ± 3.14 rad), and would be read a turn off after a restart; screw the "
        "horn on so that the joint's middle is the servo's, then inhand calibrate joints"
    )
