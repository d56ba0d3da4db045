"""Contact softness and rebound as a spring and a damper, for engines with point contacts.

A block that lies flat on its four corners rests on four springs; each has an indentation of
`contact_softness` under 1 N.
"""

import math

CORNERS = 4
DROP = 0.01
"""Drop height for which a rebound is defined [m]."""


def damping_ratio(rebound: float) -> float:
    """Damping ratio of a spring and a damper on which a mass bounces.

    Args:
        rebound: height after the bounce over the height before it, in [0, 1).

    Returns:
        Damping over critical damping. A contact force is never negative, so the contact ends
        before half a period. For a damping ratio z below 1, the ratio of speeds e follows from
        ln e = -z/√(1 - z²) · atan2(2z√(1 - z²), 2z² - 1).
    """
    if rebound <= 0.0:
        return 1.0
    wanted = 0.5 * math.log(rebound)
    low, high = 0.0, 1.0 - 1e-9
    for _ in range(60):
        ratio = 0.5 * (low + high)
        root = math.sqrt(1.0 - ratio * ratio)
        turn = math.atan2(2.0 * ratio * root, 2.0 * ratio * ratio - 1.0)
        low, high = (ratio, high) if -ratio / root * turn > wanted else (low, ratio)
    return low


def corner_damping(softness: float, rebound: float, mass: float, timestep: float) -> float:
    """Damping of each of the four corners on which a body bounces [N·s/m].

    Args:
        softness: indentation of each per force [m/N].
        rebound: as for `damping_ratio`.
        mass: of the body [kg].
        timestep: of an engine with implicit contact steps [s], which add damping.
    """
    frequency = math.sqrt(CORNERS / (softness * mass))
    ratio = max(damping_ratio(rebound) - 0.5 * frequency * timestep, 0.0)
    return 2.0 * ratio * frequency * mass / CORNERS
