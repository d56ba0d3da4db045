"""Joints of a model of others that one actuator moves together."""

from dataclasses import dataclass

import mujoco
import numpy as np

STIFF = 0.3
"""A tendon that leaves a joint less play than this couples it [rad]."""


@dataclass(frozen=True)
class Coupling:
    """The following joint's angle is `ratio` times that of the leading one plus `offset` [rad]."""

    leading: str
    following: str
    ratio: float
    offset: float

    def narrow(self, ranges: dict[str, list[float]], notes: list[str]) -> None:
        """Narrows the leading joint's range so that the following one stays within its own."""
        own = ranges[self.following]
        ends = sorted((end - self.offset) / self.ratio for end in own)
        low, high = ranges[self.leading]
        narrowed = [max(low, ends[0]), min(high, ends[1])]
        notes.append(
            f"coupled: {self.following} = {self.ratio:.4g} · {self.leading} + {self.offset:.4g} rad"
        )
        if narrowed != [low, high]:
            notes.append(
                f"approximated: range of {self.leading} [{low:.3f}, {high:.3f}] → "
                f"[{narrowed[0]:.3f}, {narrowed[1]:.3f}] rad, the reach of {self.following}"
            )
            ranges[self.leading][:] = narrowed


def couplings(model: mujoco.MjModel, notes: list[str]) -> list[Coupling]:
    """Couplings by equality constraints, and by tendons of two joints with little play."""
    found = []
    for at in range(model.neq):
        if model.eq_type[at] != mujoco.mjtEq.mjEQ_JOINT or model.eq_obj2id[at] < 0:
            notes.append(f"left out: equality constraint {model.equality(at).name or at}")
            continue
        offset, ratio, *higher = model.eq_data[at, :5].tolist()
        one, two = int(model.eq_obj1id[at]), int(model.eq_obj2id[at])
        if any(higher):
            notes.append(
                f"approximated: the coupling of {model.joint(one).name} by its linear part"
            )
        # The polynomial counts angles from the reference pose.
        offset += model.qpos0[one] - ratio * model.qpos0[two]
        found.append(Coupling(model.joint(two).name, model.joint(one).name, ratio, offset))
    driven = {
        int(model.actuator_trnid[i, 0])
        for i in range(model.nu)
        if model.actuator_trntype[i] == mujoco.mjtTrn.mjTRN_JOINT
    }
    for tendon in range(model.ntendon):
        first, count = int(model.tendon_adr[tendon]), int(model.tendon_num[tendon])
        wraps = slice(first, first + count)
        joints = model.wrap_objid[wraps].tolist()
        is_fixed = (model.wrap_type[wraps] == mujoco.mjtWrap.mjWRAP_JOINT).all()
        if not is_fixed or count != 2 or not model.tendon_limited[tendon]:
            continue
        factors = dict(zip(joints, model.wrap_prm[wraps].tolist(), strict=True))
        free = [joint for joint in joints if joint not in driven]
        low, high = model.tendon_range[tendon]
        if len(free) != 1:
            continue
        follower = free[0]
        leader = joints[1 - joints.index(follower)]
        play = float(high - low) / abs(factors[follower])
        if play > STIFF and not np.isclose(low, high):
            continue
        middle = float(low + high) / 2
        found.append(
            Coupling(
                model.joint(leader).name,
                model.joint(follower).name,
                -factors[leader] / factors[follower],
                middle / factors[follower],
            )
        )
        notes.append(
            f"approximated: tendon {model.tendon(tendon).name}, {play:.3f} rad of play, as stiff"
        )
    return found
