"""Carries out requests on the controller, in the tick's thread, before each tick."""

from inhand.controller.core.controller import Controller
from inhand.controller.core.object_watch import Measurement
from inhand.controller.core.requests import (
    Arm,
    Cancel,
    Clear,
    Disable,
    Disarm,
    Enable,
    Estop,
    Goal,
    Goals,
    Hold,
    Home,
    Joints,
    LoadPolicy,
    Manual,
    RandomGoals,
    Trajectory,
)
from inhand.controller.errors import RefusedError
from inhand.controller.ipc.request_queue import Answer, PendingRequest


def perform(
    controller: Controller[Measurement], pending: PendingRequest, *, readonly: bool
) -> Answer:
    """Carries out a request and returns its answer."""
    request = pending.request
    try:
        if readonly and not isinstance(request, LoadPolicy):
            raise RefusedError(
                "readonly", "the daemon was started with --readonly and moves nothing"
            )
        result = _perform(controller, pending)
    except RefusedError as error:
        return pending.refused(error.code, str(error))
    return pending.done({"mode": controller.mode.value, **result})


def _perform(controller: Controller[Measurement], pending: PendingRequest) -> dict[str, object]:
    request = pending.request
    match request:
        case Estop():
            controller.estop()
        case Enable():
            controller.enable()
        case Disable():
            controller.disable()
        case Home():
            controller.home()
        case Arm():
            controller.arm()
        case Disarm():
            controller.disarm()
        case Hold():
            controller.hold()
        case Manual():
            controller.manual()
        case Joints():
            return dict(controller.joints(request.positions, request.speed))
        case Trajectory():
            return dict(controller.follow(request.times, request.positions, request.joints))
        case Clear():
            controller.clear()
        case Cancel():
            return {"forgotten": controller.cancel()}
        case Goal() | Goals() | RandomGoals():
            return {"goals": _queue_goals(controller, request)}
        case LoadPolicy() if pending.policy is not None:
            controller.set_policy(pending.policy)
            return {"policy": pending.policy.name, "sha256": pending.policy.sha256}
        case _:
            raise RefusedError("unsupported", "this request is not carried out in the tick")
    return {}


def _queue_goals(
    controller: Controller[Measurement], request: Goal | Goals | RandomGoals
) -> tuple[int, ...]:
    numbers = controller.ask(
        request.aims(),
        tolerance=request.tolerance,
        hold=request.hold,
        timeout=request.timeout,
        symmetry=request.symmetry,
        replace=request.replace,
        endless=isinstance(request, RandomGoals) and request.count == 0,
    )
    # The seed is set after the request was accepted, so that a refused request changes nothing;
    # random goals are drawn only when they begin.
    if isinstance(request, RandomGoals) and request.seed is not None:
        controller.goals.reseed(request.seed)
    return numbers
