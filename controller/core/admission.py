"""Whether a request is allowed now. Each check raises RefusedError with the reason if it is not."""

from collections.abc import Callable, Sequence

from inhand.controller.core.goals import Aim, FaceUp
from inhand.controller.core.interfaces import PolicyRunner, require_rate
from inhand.controller.errors import PolicyError, RefusedError
from inhand.controller.safety.modes import Mode, Request, allowed, next_mode
from inhand.perception.objects import ObjectDescription


def require_mode(mode: Mode, request: Request) -> None:
    """The mode has a transition for the request."""
    if next_mode(mode, request) is None:
        can = ", ".join(other.value for other in allowed(mode))
        raise RefusedError("refused", f"{request.value}: not in mode {mode}; possible now: {can}")


def require_all(request: Request, *checks: Callable[[], object]) -> None:
    """No check refuses; otherwise the refusal names every problem, with the code of the first."""
    found: list[RefusedError] = []
    for check in checks:
        try:
            check()
        except RefusedError as error:
            found.append(error)
    if found:
        prefix = f"{request.value}: "
        texts = [str(error).removeprefix(prefix) for error in found]
        raise RefusedError(found[0].code, prefix + "; ".join(texts))


def require_ready(request: Request, problem: str) -> None:
    """There is no problem with what the request needs, like the joints or the object."""
    if problem:
        raise RefusedError("not_ready", f"{request.value}: {problem}")


def require_policy(policy: PolicyRunner | None) -> PolicyRunner:
    """A policy is loaded; returns it."""
    if policy is None:
        raise RefusedError(
            "no_policy", "arm: no verified policy is loaded; load one with load_policy"
        )
    return policy


def require_goals(
    aims: Sequence[Aim], target: ObjectDescription, *, waiting: int, limit: int
) -> None:
    """The object has every face that is to be turned up, and the queue has room."""
    for aim in aims:
        if isinstance(aim, FaceUp) and aim.face not in target.faces:
            faces = ", ".join(target.faces)
            raise RefusedError(
                "invalid", f"goal: {target.name} has no face {aim.face!r:.40}; it has {faces}"
            )
    if waiting + len(aims) > limit:
        raise RefusedError(
            "queue_full",
            f"goal: {waiting} goals wait and {len(aims)} more would pass the limit "
            f"of {limit}; wait or cancel",
        )


def require_replaceable(mode: Mode, policy: PolicyRunner, tick_rate: int) -> None:
    """The hand is not armed, and the new policy was made for this tick rate [Hz]."""
    if mode in (Mode.READY, Mode.RUNNING):
        raise RefusedError("refused", f"load_policy: not while {mode}; disarm the hand first")
    try:
        require_rate(policy, tick_rate)
    except PolicyError as error:
        raise RefusedError("policy", str(error)) from error
