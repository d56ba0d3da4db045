"""All faults: those of what the daemon reads, of its policy, of time and of its sockets."""

import os
import signal

from tests.faults import acts, clients
from tests.faults.fault import Fault
from tests.faults.sensing import READ, SENSING

_OTHERS = (
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
    Fault("a message without end", "command socket", clients.endless_message, "goes on"),
    Fault("1,000 silent connections", "both sockets", clients.silent_connections, "goes on"),
    Fault("replies that nobody reads", "command socket", clients.unread_replies, "goes on"),
    Fault("a storm of record requests", "recordings", clients.record_storm, "goes on"),
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
        lambda s: os.kill(s.child("inhand.controller.recording.recorder_process"), signal.SIGKILL),
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

FAULTS: dict[str, Fault] = {fault.name: fault for fault in (*SENSING, *_OTHERS)}

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
