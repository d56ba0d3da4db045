"""The faults: where each is put in, what it must lead to, and by when."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from inhand.perception.camera.sources import FROZEN_TIME
from tests.faults import acts, clients
from tests.faults.station import JOINT_TICKS, Station

Reaction = Literal["refused", "goes on", "pauses", "holding", "fault", "estop"]

GRAVITY: tuple[Reaction, ...] = ("refused", "goes on", "pauses", "holding", "fault", "estop")
"""From the mildest reaction to the gravest."""

READ = 0.01 * (JOINT_TICKS + 2)
"""When joints that are not read are a fault [s]."""
PREDICT, POSE_LOST = 0.3, 2.0
PICTURE = 1 / 15 + 0.05
"""How old the newest pose may be anyway: from one picture to the next, and detection."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: in the table.
        wire: where it is put in.
        inject: puts it in.
        reaction: what must come of it.
        within: by when [s].
        undo: takes it away.
        causes: of the mode event, any of them; all if there are none.
        sign: what must be seen of it besides.
        worst: the gravest that may come of it later, if that is graver than the reaction.
        begins: when it came about [s], if that is not when it was put in.
        lasts: how long to leave it in where work goes on [s].
    """

    name: str
    wire: str
    inject: acts.Act
    reaction: Reaction
    within: float | None = None
    undo: acts.Act = acts.nothing
    causes: tuple[str, ...] = ()
    sign: acts.Holds | None = None
    worst: Reaction | None = None
    begins: Callable[[Station], float] | None = None
    lasts: float = 1.0


ALL = frozenset({"left", "right", "wrist"})

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        # The servo bus.
        Fault(
            "one servo silent",
            "serial line",
            lambda s: s.servos.silence(7),
            "fault",
            READ,
            lambda s: s.servos.silence(),
            ("joints_stale",),
            acts.bus_says("no answer from servo 7"),
        ),
        Fault(
            "all servos silent",
            "serial line",
            lambda s: s.servos.silence(*range(1, 21)),
            "fault",
            READ,
            lambda s: s.servos.silence(),
            ("joints_stale",),
            acts.bus_says("no answer from servo"),
        ),
        Fault(
            "servo overloaded",
            "serial line",
            lambda s: s.servos.shut_down(5, 5),
            "fault",
            READ,
            lambda s: s.servos.reboot(5),
            ("servo_error",),
            acts.bus_says("overloaded"),
        ),
        Fault(
            "servo too hot",
            "serial line",
            lambda s: s.servos.shut_down(9, 2),
            "fault",
            READ,
            lambda s: s.servos.reboot(9),
            ("servo_error",),
            acts.bus_says("overheated"),
        ),
        Fault(
            "servo rebooted",
            "serial line",
            lambda s: s.servos.reboot(3),
            "fault",
            # It is looked for once a second.
            1.0 + READ,
            sign=acts.bus_says("servo 3"),
        ),
        Fault(
            "serial port gone",
            "serial line",
            lambda s: s.servos.unplug(),
            "fault",
            READ,
            lambda s: s.servos.plug(),
            (),
            acts.bus_says("serial port"),
        ),
        Fault(
            "garbage before every reply",
            "serial line",
            acts.set_on("servos", noise=b"\xff\xff\xfd\x00\x42garbage\xff"),
            "goes on",
            None,
            acts.set_on("servos", noise=b""),
        ),
        Fault(
            "a wrong bit in every reply",
            "serial line",
            acts.set_on("servos", corrupt=True),
            "fault",
            READ,
            acts.set_on("servos", corrupt=False),
        ),
        Fault(
            "encoders stuck",
            "serial line",
            acts.stick,
            "fault",
            # The swing comes to its end once a second.
            0.6 + 1.0,
            acts.unstick,
            ("servo_error",),
        ),
        # The cameras.
        Fault(
            "one camera gone",
            "camera",
            acts.set_on("cameras", gone=frozenset({"left"})),
            "goes on",
            None,
            acts.restore,
            sign=acts.camera_says("no frame for"),
            lasts=2.0,
        ),
        Fault(
            "all cameras gone",
            "camera",
            acts.set_on("cameras", gone=ALL),
            "holding",
            POSE_LOST + PICTURE,
            acts.restore,
            ("pose_lost",),
        ),
        Fault(
            "pictures missing for 0.2 s",
            "camera",
            acts.set_on("cameras", gone=ALL),
            "goes on",
            None,
            acts.restore,
            lasts=0.2,
        ),
        Fault(
            "one camera black",
            "camera",
            acts.set_on("cameras", black=frozenset({"left"})),
            "goes on",
            None,
            acts.restore,
            sign=acts.camera_says("black"),
        ),
        Fault(
            "all cameras black",
            "camera",
            acts.set_on("cameras", black=ALL),
            "holding",
            POSE_LOST + PICTURE,
            acts.restore,
            ("pose_lost",),
            acts.camera_says("black"),
        ),
        Fault(
            "one camera frozen",
            "camera",
            acts.set_on("cameras", frozen=frozenset({"left"})),
            "goes on",
            None,
            acts.restore,
            sign=acts.camera_says("frozen"),
            lasts=2.0,
        ),
        Fault(
            "all cameras frozen",
            "camera",
            acts.set_on("cameras", frozen=ALL),
            "holding",
            FROZEN_TIME + POSE_LOST + 2 * PICTURE,
            acts.restore,
            ("pose_lost",),
            acts.camera_says("frozen"),
        ),
        Fault(
            "pictures 0.4 s late",
            "camera",
            acts.set_on("cameras", delay=0.4),
            "pauses",
            PREDICT + PICTURE,
            acts.restore,
            sign=acts.camera_says("late"),
        ),
        Fault(
            "two cameras exchanged",
            "camera",
            acts.set_on("cameras", swap=True),
            "goes on",
            None,
            acts.restore,
            sign=acts.pose_is_right,
        ),
        Fault(
            "the cameras' clock runs backwards",
            "camera",
            acts.set_on("cameras", backwards=True),
            "holding",
            POSE_LOST + PICTURE,
            acts.restore,
            ("pose_lost",),
            acts.camera_says("do not advance"),
        ),
        Fault(
            "camera process killed",
            "process",
            acts.kill_camera,
            "goes on",
            None,
            lasts=2.5,
            sign=lambda s: "starting it again" in s.log.read_text(),
        ),
        Fault(
            "object dropped",
            "camera",
            acts.drop,
            "holding",
            # It has left the workspace 0.24 s after it began to roll.
            0.24 + 0.3,
            acts.restore,
            ("object_dropped",),
        ),
        # What the cameras' processes say.
        Fault(
            "a pose 8 cm off",
            "tag corners",
            acts.rogue(0.0, 0.08),
            "goes on",
            None,
            sign=acts.pose_is_right,
        ),
        Fault(
            "a pose turned over",
            "tag corners",
            acts.rogue(np.pi, 0.0),
            "goes on",
            None,
            sign=acts.pose_is_right,
        ),
        # The policy.
        Fault(
            "policy says NaN",
            "policy file",
            acts.policy("nan"),
            "holding",
            0.02,
            acts.honest,
            ("policy_failed",),
            begins=acts.trick_played,
        ),
        Fault(
            "policy raises",
            "policy file",
            acts.policy("raise"),
            "holding",
            0.02,
            acts.honest,
            ("policy_failed",),
            begins=acts.trick_played,
        ),
        Fault(
            "policy takes 0.2 s",
            "policy file",
            acts.policy("slow"),
            "holding",
            0.5,
            acts.honest,
            ("policy_failed", "bus_lost", "joints_stale"),
            # Servos that were not spoken to for 0.1 s have stopped by themselves.
            worst="fault",
            begins=acts.trick_played,
        ),
        Fault("policy file changed on disk", "policy file", acts.change_policy, "goes on"),
        # Time.
        Fault("tick stalled for 5 ms", "process", acts.stall(0.005), "goes on"),
        Fault("tick stalled for 50 ms", "process", acts.stall(0.05), "goes on"),
        Fault(
            "tick stalled for 0.5 s",
            "process",
            acts.stall(0.5),
            "fault",
            0.5 + READ,
            # The emergency stop line has not been read for as long.
            worst="estop",
        ),
        # The sockets.
        Fault("10,000 requests a second", "command socket", clients.flood, "goes on"),
        Fault("half messages", "command socket", clients.half_messages, "goes on"),
        Fault("a message of 100 MB", "command socket", clients.huge_message, "goes on"),
        Fault(
            "gateway killed",
            "process",
            acts.kill_gateway,
            "goes on",
            sign=lambda s: "gateway ended" in s.log.read_text(),
        ),
        Fault(
            "recorder killed",
            "process",
            lambda s: os.kill(
                s.child("inhand.controller.recording.recorder_process"), signal.SIGKILL
            ),
            "goes on",
            sign=lambda s: "recorder ended" in s.log.read_text(),
        ),
        Fault(
            "disk full",
            "recordings",
            acts.fill_disk,
            "goes on",
            None,
            acts.empty_disk,
            sign=lambda s: any(e["kind"] == "recording_failed" for e in s.events(0)),
        ),
        Fault(
            "fault injection asked for",
            "command socket",
            clients.refused("unknown_type", "inject_fault", fault="servo_silent"),
            "refused",
        ),
        Fault("a client with an unknown key", "network", clients.unknown_key, "refused"),
        Fault("a client of the wrong role", "network", clients.wrong_role, "refused"),
        Fault("a session played again", "network", clients.replay, "refused"),
        Fault("wrong policy files", "policy file", clients.wrong_policy, "refused"),
        Fault(
            "configuration edited",
            "file",
            acts.edit_configuration,
            "goes on",
            None,
            acts.mend_configuration,
        ),
        Fault("a second daemon on the hand", "process", clients.second_daemon, "refused"),
        Fault(
            "emergency stop line opened",
            "switch",
            lambda s: s.switch.write_text("0\n"),
            "estop",
            0.03,
            lambda s: s.switch.write_text("1\n"),
        ),
    )
}

LIKELIEST = (
    "one servo silent",
    "servo overloaded",
    "serial port gone",
    "garbage before every reply",
    "one camera gone",
    "all cameras black",
    "camera process killed",
    "object dropped",
    "tick stalled for 50 ms",
    "10,000 requests a second",
)


def graver(one: Fault, other: Fault) -> Reaction:
    """The reaction that two faults at once must lead to."""
    return max(one.reaction, other.reaction, key=GRAVITY.index)


Event = dict[str, Any]


def shows(reaction: Reaction, *causes: str) -> Callable[[Event], bool]:
    """Which event says that the hand is safe, by one of these causes, or by any."""
    if reaction == "pauses":
        return lambda event: event["kind"] == "pose_old"
    grave = GRAVITY[GRAVITY.index(reaction) :]
    return lambda event: (
        event["kind"] == "mode"
        and event["after"] in grave
        and (not causes or event["cause"] in causes)
    )
