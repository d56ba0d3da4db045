"""End of a servo's turn: a joint range that crosses it would be read with an error of one turn."""

from math import pi


def turn_problem(name: str, zero: float, low: float, high: float) -> str:
    """Message if a joint's position is ambiguous after a restart of its servo; empty if not.

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
        f"(zero {zero:.2f} ± 3.14 rad); after a restart its position would be wrong by one turn; "
        "mount the horn so that the middle of the joint's range is at the servo's centre, then "
        "run inhand calibrate joints"
    )
