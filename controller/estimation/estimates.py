"""What the pose filter reports: poses, sightings, and its problem."""

from collections.abc import Sequence

from inhand.controller.estimation.pose_state import PoseMeasurement, PoseState
from inhand.controller.estimation.prediction import StatePredictor
from inhand.perception.records import ConfirmedPose, ObjectPose, Sighting, frozen_array


def object_pose(state: PoseState, t: float, carrier: StatePredictor) -> ObjectPose:
    """The pose at `t` [s].

    Args:
        state: the last estimate before it.
        t: not before the estimate [s].
        carrier: predicts the estimate.
    """
    ahead = carrier.ahead(state, t)
    carried = carrier.velocity(t)
    return ObjectPose(
        t=t,
        position=frozen_array(ahead.position),
        quaternion=frozen_array(ahead.quaternion),
        linear_velocity=frozen_array(ahead.linear_velocity + carried[:3]),
        angular_velocity=frozen_array(ahead.angular_velocity + carried[3:]),
        covariance=frozen_array(ahead.covariance),
        age=t - ahead.measured,
    )


def confirmed_poses(states: Sequence[PoseState]) -> tuple[ConfirmedPose, ...]:
    """The estimates whose measurement was accepted, at its capture time, in their order."""
    return tuple(
        ConfirmedPose(
            state.t,
            frozen_array(state.position),
            frozen_array(state.quaternion),
            frozen_array(state.covariance[:6, :6]),
        )
        for state in states
        if state.measured == state.t
    )


def sighting(measurement: PoseMeasurement, state: PoseState) -> Sighting:
    """Where a measurement showed the object; `state` is the estimate after it."""
    best = measurement.candidates[0]
    accepted = state.measured == measurement.t
    return Sighting(measurement.t, best.position, best.cameras, accepted)


def problem(newest: PoseState | None, lagging: bool, slow: Sequence[str], window: float) -> str:
    """Problem with the latest measurements; empty if there is none.

    Args:
        newest: the newest estimate; None before the first measurement.
        lagging: whether the latest measurement came too late to be used.
        slow: cameras whose latest frame came too late.
        window: how late a measurement may come [s].
    """
    if newest is None:
        return "no camera has seen the object yet"
    if lagging:
        which = ", ".join(slow)
        whose = f"the frames of camera {which}" if which else "a camera's frames"
        return (
            f"{whose} come more than {window:g} s after the others' and are not used; is it slow, "
            "or its clock another one?"
        )
    if newest.refused:
        names = ", ".join(sorted({name for one in newest.refused for name in one.seen_by}))
        who = f"camera {names}" if names else "a camera"
        return (
            f"what {who} sees does not follow from the poses before: the object was moved by "
            "hand, or a camera sees something else"
        )
    return ""
