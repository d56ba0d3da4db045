"""What a contact's softness and rebound mean as a spring and a damper, for engines of points.

A block that falls flat on its four corners rests on four springs; each gives by `contact_softness`
under 1 N.
"""

import math

CORNERS = 4
DROP = 0.01
"""Height from which a rebound is measured [m]."""


def damping_ratio(rebound: float) -> float:
    """Of a spring and a damper on which a mass bounces.

    Args:
        rebound: height after the bounce over the height before it, in [0, 1).

    Returns:
        The share of critical damping. A contact pushes and never pulls, and so lets go before the
        oscillation is half over; the exact relation between its damping ratio z and the ratio of
        speeds e is ln e = -z/√(1 - z²) · atan2(2z√(1 - z²), 2z² - 1) below 1.
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
    """Damping of each of the corners on which a body bounces [N·s/m].

    Args:
        softness: how much each gives [m/N].
        rebound: as for `damping_ratio`.
        mass: of the body [kg].
        timestep: of an engine that steps its contacts implicitly [s], which damps by itself.
    """
    frequency = math.sqrt(CORNERS / (softness * mass))
    ratio = max(damping_ratio(rebound) - 0.5 * frequency * timestep, 0.0)
    return 2.0 * ratio * frequency * mass / CORNERS
