"""Replies of the daemon as text."""

from inhand.controller.client.connection import Message
from inhand.controller.ipc.telemetry import as_pace


def as_lines(reply: Message) -> str:
    """A reply, one member a line."""
    return "\n".join(f"{key}: {value}" for key, value in reply.items())


def as_status(reply: Message) -> str:
    """The reply to `status`, for people."""
    if reply["mode"] == "starting":
        return "mode: starting"
    seen, goal, tick = reply["object"]["pose"], reply["goal"], reply["tick"]
    where = "never seen"
    if seen is not None:
        position = ", ".join(f"{x:.3f}" for x in seen["position"])
        where = f"at ({position}) m, seen {seen['age']:.2f} s ago"
    policy = reply["policy"]
    lines = [
        f"mode: {reply['mode']} ({reply['reason']})",
        f"object: {'in the hand' if reply['object']['in_hand'] else 'not in the hand'}, {where}",
        f"policy: {policy['name'] if policy else 'none'}",
        f"goals: {reply['reached']} reached, {reply['missed']} missed, {reply['waiting']} waiting",
        f"ticks: {tick['ticks']}, {as_pace(reply)}",
    ]
    if goal is not None:
        lines.append(f"goal {goal['number']}: {goal['error']:.2f} rad to go")
    if problem := reply.get("tags", {}).get("problem"):
        lines.append(f"tags: {problem}")
    fusion = reply.get("fusion", {})
    if fusion.get("problem"):
        lines.append(f"pose filter: {fusion['problem']}")
    for camera, fit in fusion.get("cameras", {}).items():
        if fit["problem"]:
            lines.append(f"camera {camera} {fit['problem']}")
    for name, camera in reply.get("cameras", {}).items():
        lines += [f"camera {name}: {camera[key]}" for key in ("problem", "note") if camera.get(key)]
    if reply["bus"]["problem"]:
        lines.append(f"bus: {reply['bus']['problem']}")
    return "\n".join(lines)


def as_events(reply: Message) -> str:
    """The reply to `events`, one event a line."""
    return "\n".join(_event(event) for event in reply["events"])


def _event(event: Message) -> str:
    details = {key: value for key, value in event.items() if key not in ("n", "t", "kind")}
    shown = "  ".join(f"{key}={value}" for key, value in details.items())
    return f"{event['n']:5d}  {event['t']:.3f}  {event['kind']}  {shown}".rstrip()
