"""Parts of the page as HTML: past goals, bars of the servos, the estimated world."""

import html
from collections.abc import Sequence

import numpy as np

from inhand.controller.client.connection import Message
from inhand.controller.safety.derating import HOT_CASE, WARM_CASE
from inhand.controller.view.past_goals import PastGoal
from inhand.hardware.dynamixel.hand_check import current_of
from inhand.hardware.dynamixel.models import MODELS
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.hand_description import Actuator

_COLOURS = {"reached": "#2a9d8f", "missed": "#e9a13b", "dropped": "#d64f4f", "cancelled": "#8a8f98"}
_BLUE, _AMBER, _RED = "#3b82d0", "#e9a13b", "#d64f4f"

_HOTTEST = 80.0
"""Temperature of a full bar [°C]."""

_GRID = "display:grid;gap:2px 8px;align-items:center;margin:0 0.9em;font-size:0.8em"


def goals_html(goals: Sequence[PastGoal]) -> str:
    """The last goals, newest first: a bar as long as the goal took, its time, error and end."""
    if not goals:
        return _line("no goal has ended yet")
    longest = max(1.0, *(goal.seconds for goal in goals))
    rows = [
        f"<span>{goal.number}</span>"
        + _bar(goal.seconds / longest, _COLOURS[goal.end])
        + f"<span>{goal.seconds:.1f} s</span><span>{goal.error:.0f}° left</span>"
        f'<span style="color:{_COLOURS[goal.end]}"><b>{goal.end}</b></span>'
        for goal in reversed(goals)
    ]
    return _grid("auto 1fr auto auto auto", rows)


def servos_html(hand: Hand, state: Message) -> str:
    """For each servo a bar of its load and one of its temperature."""
    joints = state["joints"]
    if joints is None:
        return _line("no servo was read yet")
    loads = np.abs(joints["current"]) / [_full_current(one) for one in hand.actuators]
    temperatures = joints.get("temperature") or [None] * hand.n_actuators
    rows = ["<b>servo</b><b>load</b><span></span><b>temperature</b><span></span>"]
    for name, load, warm, share in zip(
        hand.actuator_names, loads.tolist(), temperatures, state["effort"], strict=True
    ):
        reduced = "" if share >= 1.0 else f" of {100 * share:.0f}"
        rows.append(
            f"<span>{html.escape(name)}</span>"
            + _bar(load, _RED if load > 0.9 else _BLUE)
            + f"<span>{100 * load:.0f}{reduced} %</span>"
            + _bar((warm or 0.0) / _HOTTEST, _colour_of(warm))
            + f"<span>{'not read' if warm is None else f'{warm:.0f} °C'}</span>"
        )
    return _grid("auto 1fr auto 1fr auto", rows)


def _full_current(actuator: Actuator) -> float:
    """The current at the actuator's torque limit [A]; infinite where it is not known."""
    if actuator.servo is None or actuator.servo.model not in MODELS:
        return np.inf
    return current_of(actuator)


def world_html(policy: Message | None) -> str:
    """What the monitor found, and what the policy estimates of its world, with deviations."""
    watched = monitor_html((policy or {}).get("monitor"))
    estimates = (policy or {}).get("world")
    if not estimates:
        return watched
    rows = []
    for one in estimates:
        mean, deviation = one["mean"], one["deviation"]
        if mean is None or deviation is None:
            continue
        name = html.escape(one["name"].replace("_", " "))
        text = f"{mean:+.2f} ± {deviation:.2f}"
        rows.append(f"<span>{name}</span>{_interval(mean, deviation)}<span>{text}</span>")
    title = _line("<b>estimated world</b>: 0 is nominal, 1 and -1 are the ends of training")
    return watched + title + _grid("auto 1fr auto", rows)


def monitor_html(verdict: Message | None) -> str:
    """What the monitor found last; empty without a monitor."""
    if verdict is None:
        return ""
    score = verdict["score"]
    if score is None:
        return _line("<b>monitor</b>: compares from 4 s of turning on")
    names = ", ".join(html.escape(name.replace("_", " ")) for name in verdict["likely"][:3])
    if verdict["unlike"]:
        return _line(
            f'<b>monitor</b>: <span style="color:{_RED}">unlike anything in training</span>, '
            f"score {score:.1f} ({names or 'lower again'})"
        )
    return _line(f"<b>monitor</b>: like training, score {score:.1f} of 1")


def _line(text: str) -> str:
    return f'<p style="margin:0.5em 0.75em">{text}</p>'


def _grid(columns: str, rows: Sequence[str]) -> str:
    return f'<div style="{_GRID};grid-template-columns:{columns}">{"".join(rows)}</div>'


def _bar(share: float, colour: str) -> str:
    width = 100 * min(max(share, 0.0), 1.0)
    return (
        '<div style="background:rgba(128,128,128,.25);border-radius:3px;min-width:40px">'
        f'<div style="background:{colour};width:{width:.0f}%;height:9px;border-radius:3px"></div>'
        "</div>"
    )


def _interval(mean: float, deviation: float) -> str:
    """An axis from -1.5 to 1.5 with an interval of one standard deviation."""
    left, right = (50 + 100 * x / 3 for x in (mean - deviation, mean + deviation))
    left, right = max(0.0, min(98.0, left)), max(2.0, min(100.0, right))
    place = f"margin-left:{left:.0f}%;width:{max(2.0, right - left):.0f}%"
    return (
        '<div style="background:linear-gradient(#8a8f98,#8a8f98) center/1px 100% no-repeat,'
        'rgba(128,128,128,.25);border-radius:3px;min-width:60px">'
        f'<div style="background:{_BLUE};{place};height:9px;border-radius:3px;opacity:.8"></div>'
        "</div>"
    )


def _colour_of(temperature: float | None) -> str:
    if temperature is None or temperature < WARM_CASE:
        return _BLUE
    return _AMBER if temperature < HOT_CASE else _RED
