"""Replies of the daemon as text."""

from typing import Any

from inhand.controller.cli.display import as_status


def test_status_names_what_cameras_say_of_themselves() -> None:
    usual = {"problem": "", "note": ""}
    reply: dict[str, Any] = {
        "mode": "off",
        "reason": "started",
        "object": {"pose": None, "in_hand": False},
        "policy": None,
        "reached": 0,
        "missed": 0,
        "waiting": 0,
        "goal": None,
        "bus": {"problem": ""},
        "tick": {"ticks": 100, "recent_on_time_share": 1.0},
        "cameras": {
            "left": usual | {"note": "exposure 4 ms was asked for, the camera has 33 ms"},
            "right": usual | {"problem": "no frame for 2.0 s"},
            "wrist": usual,
        },
    }
    shown = as_status(reply).splitlines()
    assert "camera left: exposure 4 ms was asked for, the camera has 33 ms" in shown
    assert "camera right: no frame for 2.0 s" in shown
    assert not any("wrist" in line for line in shown)
