"""`inhand status --watch`: the daemon on one screen."""

import os
import shutil
import sys
import time
from math import degrees

from inhand.controller.cli.display import as_status
from inhand.controller.client.connection import Message
from inhand.controller.client.sync import Client
from inhand.controller.errors import ClientError
from inhand.result import print_json

PERIOD = 0.2
"""Time between two screens [s]."""

_LINES_PERIOD = 1.0
_COLOURS = {"fault": 31, "estop": 31, "running": 32, "ready": 36, "manual": 36, "holding": 33}
_BAR = 20


def watch(client: Client, *, json: bool) -> int:
    """Shows the daemon's status until Ctrl-C: a screen on a terminal, else lines."""
    live = sys.stdout.isatty() and not json
    period = PERIOD if live else _LINES_PERIOD
    if live:
        print("\x1b[2J", end="")
    while True:
        try:
            reply = client.status()
            reply.pop("id"), reply.pop("ok")
            if json:
                print_json(reply)
                time.sleep(period)
                continue
            text = screen(reply, colour=live and _colours_wanted())
        except ClientError as error:
            text = f"{error}\nwaiting for it to come back"
            if json:
                raise
        _show(text, live=live)
        time.sleep(period)


def screen(reply: Message, *, colour: bool) -> str:
    """A status on one screen."""
    lines = as_status(reply).splitlines()
    if colour and reply["mode"] in _COLOURS:
        lines[0] = f"\x1b[1;{_COLOURS[reply['mode']]}m{lines[0]}\x1b[0m"
    if reply["mode"] == "starting":
        return "\n".join(lines)
    if (goal := reply["goal"]) is not None:
        done = max(0.0, 1.0 - goal["error"] / 3.1416)
        bar = "#" * round(_BAR * done)
        lines.append(
            f"[{bar:<{_BAR}}] {degrees(goal['error']):.0f}° to go, {goal['seconds']:.1f} s"
        )
    for name, camera in reply["cameras"].items():
        problem = camera["problem"] or "all right"
        lines.append(f"camera {name}: {camera['rate']:.0f} Hz, by {camera['eyes']}, {problem}")
    return "\n".join([*lines, "", *_servos(reply)])


def _servos(reply: Message) -> list[str]:
    """Angle, target and current of each servo, in two columns."""
    joints = reply["joints"]
    if joints is None:
        return ["no servo was read yet"]
    targets = reply["targets"] or joints["position"]
    rows = zip(joints["position"], targets, joints["current"], strict=True)
    cells = [
        f"{number:2d} {degrees(at):7.1f}° {degrees(to):7.1f}° {current:6.2f} A"
        for number, (at, to, current) in enumerate(rows)
    ]
    half = (len(cells) + 1) // 2
    head = f"{'':2} {'angle':>8} {'target':>8} {'current':>8}"
    right = [*cells[half:], ""][:half]
    body = [f"{a:<34}{b}".rstrip() for a, b in zip(cells[:half], right, strict=True)]
    return [f"{head:<34}{head}", *body]


def _show(text: str, *, live: bool) -> None:
    if not live:
        print(text, flush=True)
        return
    width, height = shutil.get_terminal_size()
    # Each line erases the rest of the old line, and the last one everything below.
    lines = text.splitlines()[: height - 1]
    print(
        "\x1b[H" + "\n".join(f"{line[: width + 9]}\x1b[K" for line in lines) + "\x1b[J", flush=True
    )


def _colours_wanted() -> bool:
    return not os.environ.get("NO_COLOR")
