"""Joints of a source model that one actuator moves together."""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from inhand.hardware.errors import DescriptionError

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
        if narrowed[0] >= narrowed[1]:
            raise DescriptionError(
                f"joint {self.following} follows {self.leading}, and leaves it no range: it would "
                f"need [{ends[0]:.3f}, {ends[1]:.3f}] rad, and its own is [{low:.3f}, {high:.3f}]; "
                "correct ratio, offset or ranges"
            )
        before, after = (f"[{ends[0]:.3f}, {ends[1]:.3f}]" for ends in ([low, high], narrowed))
        ranges[self.leading][:] = narrowed
        # Models often differ in the last digits.
        if before != after:
            notes.append(
                f"approximated: range of {self.leading} {before} → {after} rad, the reach of "
                f"{self.following}"
            )


def couplings(model: mujoco.MjModel, notes: list[str]) -> list[Coupling]:
    """Couplings by equality constraints, and by tendons of two joints with little play.

    Raises:
        DescriptionError: joints follow each other in a ring, one follows two, or one never moves.
    """
    return _to_leaders([*_by_constraints(model, notes), *_by_tendons(model, notes)])


def _by_constraints(model: mujoco.MjModel, notes: list[str]) -> list[Coupling]:
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
        found.append(Coupling(joint_name(model, two), joint_name(model, one), ratio, offset))
    return found


def _by_tendons(model: mujoco.MjModel, notes: list[str]) -> list[Coupling]:
    found = []
    driven = _driven(model, mujoco.mjtTrn.mjTRN_JOINT)
    pulled = _driven(model, mujoco.mjtTrn.mjTRN_TENDON)
    for tendon in range(model.ntendon):
        factors = _factors(model, tendon)
        joints = list(factors)
        free = [joint for joint in joints if joint not in driven]
        if len(factors) == len(free) == 2 and tendon in pulled:
            one, two = joints
            # Equal tension turns joints of equal stiffness by their levers.
            found.append(
                Coupling(
                    joint_name(model, one), joint_name(model, two), factors[two] / factors[one], 0.0
                )
            )
            notes.append(
                f"approximated: tendon {model.tendon(tendon).name}, which an actuator pulls, as a "
                "stiff coupling"
            )
        if len(factors) != 2 or not model.tendon_limited[tendon]:
            continue
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
                joint_name(model, leader),
                joint_name(model, follower),
                -factors[leader] / factors[follower],
                middle / factors[follower],
            )
        )
        notes.append(
            f"approximated: tendon {model.tendon(tendon).name}, {play:.3f} rad of play, as stiff"
        )
    return found


def tendon_lever(model: mujoco.MjModel, tendon: int) -> tuple[str, float]:
    """Leading joint of a tendon that couples two, and its pull per turn of that joint [m/rad]."""
    factors = _factors(model, tendon)
    if len(factors) != 2:
        return "", 0.0
    one, two = factors
    return joint_name(model, one), factors[one] + factors[two] ** 2 / factors[one]


def _factors(model: mujoco.MjModel, tendon: int) -> dict[int, float]:
    """Length of a tendon per turn of its joints, by joint; empty if it is not a sum of joints."""
    first, count = int(model.tendon_adr[tendon]), int(model.tendon_num[tendon])
    wraps = slice(first, first + count)
    if not (model.wrap_type[wraps] == mujoco.mjtWrap.mjWRAP_JOINT).all():
        return {}
    return dict(zip(model.wrap_objid[wraps].tolist(), model.wrap_prm[wraps].tolist(), strict=True))


def _driven(model: mujoco.MjModel, kind: mujoco.mjtTrn) -> set[int]:
    """Numbers of what actuators of a kind act on."""
    return set(model.actuator_trnid[model.actuator_trntype == kind, 0].tolist())


def joint_name(model: mujoco.MjModel, joint: int) -> str:
    """Name of a joint; one without a name gets one by its number."""
    return str(model.joint(joint).name or f"joint{joint}")


def _to_leaders(found: Sequence[Coupling]) -> list[Coupling]:
    """Couplings to joints that follow no other: what follows a follower follows its leader."""
    leaders: dict[str, Coupling] = {}
    for coupling in found:
        if coupling.following in leaders:
            raise DescriptionError(
                f"joint {coupling.following} follows two joints, "
                f"{leaders[coupling.following].leading} and {coupling.leading}; leave one out"
            )
        if not coupling.ratio:
            raise DescriptionError(
                f"joint {coupling.following} follows {coupling.leading} with the ratio 0, so that "
                "it never moves; fix it"
            )
        leaders[coupling.following] = coupling
    resolved = []
    for coupling in found:
        at, steps = coupling, 0
        while at.leading in leaders:
            above, steps = leaders[at.leading], steps + 1
            at = Coupling(
                above.leading,
                at.following,
                at.ratio * above.ratio,
                at.ratio * above.offset + at.offset,
            )
            if steps > len(leaders):
                raise DescriptionError(
                    f"joint {coupling.following} follows {coupling.leading}, which follows it, "
                    "too; one of these joints must be driven: leave one coupling out"
                )
        resolved.append(at)
    return resolved
