"""Faults of what the daemon reads: the servo bus, the cameras and their processes."""

import numpy as np

from inhand.perception.camera.sources import FROZEN_TIME
from tests.faults import acts
from tests.faults.fault import Fault
from tests.faults.station import JOINT_TICKS

READ = 0.01 * (JOINT_TICKS + 2)
"""When joints that are not read are a fault [s]."""
PREDICT, POSE_LOST = 0.3, 2.0
PICTURE = 1 / 15 + 0.05
"""How old the newest pose may be anyway: from one picture to the next, and detection."""
ALL = frozenset({"left", "right", "wrist"})

SENSING = (
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
        sign=lambda s: "servo 3" in s.hand.status()["reason"],
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
)
