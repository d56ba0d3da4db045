"""Softness and rebound of the object's contacts as MuJoCo's impedance and damping ratio.

MuJoCo's contact is a spring and a damper on the acceleration, weighted by an impedance that grows
with depth. At rest its force is k · d²/(1 - d) · depth / A, where k follows from the time constant,
d is the impedance and A the sum of the inverse masses of both bodies (MuJoCo's documentation,
computation, solver parameters). A longer time constant would also make the contact softer, but
slower than rubber. A lower impedance keeps the time constant, and with the impedance width the
contact becomes stiffer with depth, as rubber does.
"""

import math

import mujoco

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.sim_backend.contact import damping_ratio
from inhand.training.mujoco_worlds.model import OBJECT

STIFFENS = 4.0
"""At this multiple of its depth under 1 N, a contact is as stiff as MuJoCo's nominal one."""


def change_contact(
    fields: dict[str, Array], nominal: mujoco.MjModel, hand: Hand, universe: Universe
) -> None:
    """Writes `geom_solref` and `geom_solimp` of the object; all its contacts use them.

    Args:
        fields: of the universe's model, with the time constant of its solver settings.
        nominal: the nominal model.
        hand: the hand in it.
        universe: its `contact_softness` and `contact_rebound` are used.
    """
    if not universe.contact_softness:
        return
    geom = nominal.geom(OBJECT).id
    time = float(fields["geom_solref"][geom, 0])
    low, high, width = nominal.geom_solimp[geom, :3].tolist()
    tips = [nominal.body(hand.link_names[link]).id for link in hand.fingertips]
    inverse_mass = float(nominal.body_invweight0[nominal.body(OBJECT).id, 0])
    inverse_mass += float(nominal.body_invweight0[tips, 0].mean())
    stiffness = 1.0 / (high * time) ** 2
    # At half of its width, the impedance of the nominal contact is the mean of its ends.
    own = _depth(0.5 * (low + high), stiffness, inverse_mass)
    depth = own + universe.contact_softness
    needed = _impedance(depth, stiffness, inverse_mass)
    width = STIFFENS * depth
    low = max(needed - (high - needed) / (STIFFENS - 1.0), 0.05)
    fields["geom_solimp"][geom] = low, high, width, 0.5, 1.0
    ratio = damping_ratio(universe.contact_rebound)
    # The longer time constant cancels the effect of the damping ratio on the stiffness.
    fields["geom_solref"][geom] = time / ratio, ratio


def _depth(impedance: float, stiffness: float, inverse_mass: float) -> float:
    """Depth of a contact under 1 N [m]."""
    return inverse_mass * (1.0 - impedance) / (stiffness * impedance**2)


def _impedance(depth: float, stiffness: float, inverse_mass: float) -> float:
    """Impedance for which the depth of a contact under 1 N is `depth` [m]."""
    c = inverse_mass / (stiffness * depth)
    return 0.5 * (math.sqrt(c * c + 4.0 * c) - c)
