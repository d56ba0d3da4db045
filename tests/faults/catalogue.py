"""The faults: where each is put in, what it must lead to, and by when."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
import pytest
import zmq

from controller.client import Client
from controller.keys import load_client_key
from perception import rotations
from perception.objects import load_object
from perception.records import TagCorners, encode, frozen_array
from perception.sources import FROZEN_TIME
from sim_backend.rig import default_rig
from tests.controller.test_gateway import relay
from tests.faults import policies
from tests.faults.station import JOINT_TICKS, ClientError, RefusedError, Station

Reaction = Literal["refused", "goes on", "pauses", "holding", "fault", "estop"]

NONSENSE = "[nonsense\n"

GRAVITY: tuple[Reaction, ...] = ("refused", "goes on", "pauses", "holding", "fault", "estop")
"""From the mildest reaction to the gravest."""

READ = 0.01 * (JOINT_TICKS + 2)
"""When joints that are not read are a fault [s]."""
PREDICT, POSE_LOST = 0.3, 2.0
PICTURE = 1 / 15 + 0.05
"""How old the newest pose may be anyway: from one picture to the next, and detection."""

Act = Callable[[Station], None]
Holds = Callable[[Station], object]


def _nothing(station: Station) -> None:
    return


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
    inject: Act
    reaction: Reaction
    within: float | None = None
    undo: Act = _nothing
    causes: tuple[str, ...] = ()
    sign: Holds | None = None
    worst: Reaction | None = None
    begins: Callable[[Station], float] | None = None
    lasts: float = 1.0


def _set(part: str, **values: object) -> Act:
    """Sets attributes of one of the station's wires."""

    def act(station: Station) -> None:
        for name, value in values.items():
            setattr(getattr(station, part), name, value)

    return act


def _restore(station: Station) -> None:
    station.cameras.restore()


def _camera_says(words: str, camera: str = "left") -> Holds:
    """An event that names the camera and its problem."""
    return lambda station: any(
        event["kind"] == "camera" and event["camera"] == camera and words in event["problem"]
        for event in station.events(0)
    )


def _bus_says(words: str) -> Holds:
    """An event that names the servos and their problem."""
    return lambda station: any(
        event["kind"] == "bus" and words in event["problem"] for event in station.events(0)
    )


def _stall(seconds: float) -> Act:
    def act(station: Station) -> None:
        os.kill(station.process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(station.process.pid, signal.SIGCONT)

    return act


def _policy(trick: policies.Trick) -> Act:
    return lambda station: station.load(trick)


def _trick_played(station: Station) -> float:
    """When the policy did what it should not [s]."""
    started = [event["t"] for event in station.events(0) if event["kind"] == "goal_started"]
    return float(started[-1]) + (policies.BEHAVES - 1) * policies.STEP


def _stick(station: Station) -> None:
    station.load("swing")
    time.sleep(0.5)
    station.servos.stuck = True


def _unstick(station: Station) -> None:
    station.servos.stuck = False
    _honest(station)


def _honest(station: Station) -> None:
    """Has the honest policy loaded again."""

    def loaded() -> bool:
        with suppress(RefusedError):
            for request in ("clear", "disarm"):
                with suppress(RefusedError):
                    station.hand.call(request)
            station.hand.call("load_policy", policy="none.onnx")
            return True
        return False

    station.wait(loaded)


def _rogue(turn: float, shift: float) -> Act:
    """Half a second of corners of an object that is elsewhere, as if the left camera saw it."""

    def act(station: Station) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        push = context.socket(zmq.PUSH)
        push.connect(f"ipc://{station.directory}/run/corners.sock")
        camera, block = default_rig()["left"], load_object("block")
        pose = station.hand.status()["object"]["pose"]
        quaternion = rotations.multiply(
            rotations.exp(np.array([0.0, 0.0, turn])), np.array(pose["quaternion"])
        )
        position = np.array(pose["position"]) + [shift, 0.0, 0.0]
        for _ in range(8):
            ids, corners = [], []
            for tag in block.tags:
                half = tag.size / 2
                square = np.array([[-half, half], [half, half], [half, -half], [-half, -half]])
                flat = np.concatenate([square, np.zeros((4, 1))], axis=1)
                center = rotations.rotate(quaternion, tag.position) + position
                turned = rotations.multiply(quaternion, tag.quaternion)
                normal = rotations.rotate(turned, np.array([0.0, 0.0, 1.0]))
                if normal @ (camera.position - center) > 0.3 * np.linalg.norm(
                    camera.position - center
                ):
                    ids.append(tag.id)
                    corners.append(camera.project(rotations.rotate(turned, flat) + center))
            seen = TagCorners(
                time.monotonic(), "left", tuple(ids), frozen_array(np.array(corners)), 0.2
            )
            push.send(encode(seen))
            time.sleep(1 / 15)
        context.destroy(linger=100)

    return act


def _pose_is_right(station: Station) -> bool:
    pose = station.hand.status()["object"]["pose"]
    start = np.array([0.0, 0.335, 0.055])
    upright = abs(pose["quaternion"][0]) > 0.97
    return bool(np.linalg.norm(np.array(pose["position"]) - start) < 0.02) and upright


def _flood(station: Station) -> None:
    """Ten thousand requests a second for a second, from a client of its own."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    flood = context.socket(zmq.DEALER)
    flood.set(zmq.LINGER, 0)
    flood.connect(f"ipc://{station.directory}/run/command.sock")
    over = threading.Event()

    def swallow() -> None:
        while not over.is_set():
            if flood.poll(20):
                with suppress(zmq.Again):
                    flood.recv(zmq.NOBLOCK)

    message = msgspec.json.encode({"v": 1, "id": 1, "type": "events", "since": 2**31})
    begin = time.monotonic()
    for number in range(10_000):
        with suppress(zmq.Again):
            flood.send(message, zmq.NOBLOCK)
        if number % 100 == 0:
            time.sleep(max(0.0, begin + number / 10_000 - time.monotonic()))
    over.set()
    context.destroy(linger=0)


def _half_messages(station: Station) -> None:
    """Beginnings of messages from clients that then hang up, and from some that do not."""
    path = f"{station.directory}/run/command.sock"
    kept = []
    for number in range(40):
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(path)
        # The greeting of ZMTP 3, a handshake that is cut off, and plain noise.
        greeting = b"\xff" + b"\0" * 8 + b"\x7f\x03\0NULL" + b"\0" * 48
        with suppress(OSError):
            raw.sendall([greeting, greeting + b"\x04\x19\x05READY", os.urandom(2000)][number % 3])
        kept.append(raw)
    for raw in kept[::2]:
        raw.close()
    time.sleep(0.3)
    for raw in kept[1::2]:
        raw.close()


def _huge_message(station: Station) -> None:
    station.rude.communicate(b"now\n", timeout=60)
    assert station.rude.returncode == 0


def _edit_configuration(station: Station) -> None:
    text = station.config.read_text()
    station.config.write_text(NONSENSE + text)


def _mend_configuration(station: Station) -> None:
    station.config.write_text(station.config.read_text().removeprefix(NONSENSE))


def _change_policy(station: Station) -> None:
    """The file that runs is another one now; the one that was hashed goes on."""
    with (station.directory / "policies" / "none.onnx").open("r+b") as file:
        file.seek(2000)
        file.write(b"\xff" * 64)


def _refused(code: str, request: str, **members: object) -> Act:
    """A request that must be refused, over a connection of its own."""

    def act(station: Station) -> None:
        with pytest.raises(RefusedError) as refused:
            station.hand.call(request, **members)
        assert refused.value.code == code

    return act


def _wrong_policy(station: Station) -> None:
    """Files that are not on the list, by name and by digest, and one that is no policy."""
    store = station.directory / "policies"
    (store / "stranger.onnx").write_bytes((store / "none.onnx").read_bytes() + b"\0")
    (store / "garbage.onnx").write_bytes(b"garbage")
    (store / "outside.onnx").symlink_to(station.directory / "inhandd.toml")
    for name in ("stranger", "garbage", "outside", "../inhandd.toml", "0" * 8):
        _refused("policy", "load_policy", policy=name)(station)


def _unknown_key(station: Station) -> None:
    public, secret = (half.decode() for half in zmq.curve_keypair())
    key = load_client_key(station.directory / "commander")
    forged = msgspec.structs.replace(key, public=public, secret=secret)
    text = "".join(f"{k} = '{v}'\n" for k, v in msgspec.structs.asdict(forged).items())
    (station.directory / "stranger").write_text(text)
    with (
        Client(key=station.directory / "stranger", timeout=1.0) as client,
        pytest.raises(ClientError, match="did not answer"),
    ):
        client.call("estop")


def _wrong_role(station: Station) -> None:
    with Client(key=station.directory / "observer", timeout=10.0) as client:
        assert client.status()["mode"] == "running"
        for request in ("disarm", "hold", "shutdown"):
            with pytest.raises(RefusedError, match="may only observe"):
                client.call(request)


def _replay(station: Station) -> None:
    """The bytes of a session in which a goal was asked for, once more."""
    key = load_client_key(station.directory / "commander")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        detour = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        members = msgspec.structs.asdict(msgspec.structs.replace(key, command=detour))
        text = "".join(f"{name} = '{value}'\n" for name, value in members.items())
        (station.directory / "detour").write_text(text)
        with Client(key=station.directory / "detour", timeout=10.0) as client:
            client._commands.send(b'{"v":1,"id":1,"type":"goal","face":"-x","tolerance":0.01}')
            near, _ = listener.accept()
            far = socket.create_connection(("127.0.0.1", station.ports[0]))
            recorded = relay(near, far, lambda: bool(client._commands.poll(0)))
            assert msgspec.json.decode(client._commands.recv())["ok"]
    for end in (near, far):
        end.close()
    waiting = station.hand.status()["waiting"]
    with socket.create_connection(("127.0.0.1", station.ports[0])) as again:
        again.sendall(recorded)
        time.sleep(0.5)
    assert station.hand.status()["waiting"] == waiting


def _second_daemon(station: Station) -> None:
    """Another daemon on the same hand, in the same directory and in another one."""
    for run, error in (("run", "another inhandd runs"), ("elsewhere", "is it in use")):
        config = station.config
        if run == "elsewhere":
            config = station.directory / "second.toml"
            text = station.config.read_text()
            # Without a policy: the file may have been tampered with by now.
            text = text.replace('file = "none.onnx"', 'file = ""')
            config.write_text(text[: text.index("[network]")])
        done = subprocess.run(
            [*station.daemon_command(station.directory / run), "--config", str(config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0 and error in done.stderr, done.stderr


def _fill_disk(station: Station) -> None:
    """The recorder's disk has no room left when it is to write."""
    with suppress(OSError), (station.recordings / "full").open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    station.hand.call("record", action="start")


def _empty_disk(station: Station) -> None:
    (station.recordings / "full").unlink()
    station.hand.call("record", action="stop")


def _kill_gateway(station: Station) -> None:
    os.kill(station.child("controller.gateway"), signal.SIGKILL)


def _kill_camera(station: Station) -> None:
    # It may be a moment in coming back from the last time.
    station.wait(lambda: station.has_child("--camera\0left\0"))
    os.kill(station.child("--camera\0left\0"), signal.SIGKILL)


def _drop(station: Station) -> None:
    station.cameras.play = True


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
            _bus_says("no answer from servo 7"),
        ),
        Fault(
            "all servos silent",
            "serial line",
            lambda s: s.servos.silence(*range(1, 21)),
            "fault",
            READ,
            lambda s: s.servos.silence(),
            ("joints_stale",),
            _bus_says("no answer from servo"),
        ),
        Fault(
            "servo overloaded",
            "serial line",
            lambda s: s.servos.shut_down(5, 5),
            "fault",
            READ,
            lambda s: s.servos.reboot(5),
            ("servo_error",),
            _bus_says("overloaded"),
        ),
        Fault(
            "servo too hot",
            "serial line",
            lambda s: s.servos.shut_down(9, 2),
            "fault",
            READ,
            lambda s: s.servos.reboot(9),
            ("servo_error",),
            _bus_says("overheated"),
        ),
        Fault(
            "servo rebooted",
            "serial line",
            lambda s: s.servos.reboot(3),
            "fault",
            # It is looked for once a second.
            1.0 + READ,
            sign=_bus_says("servo 3"),
        ),
        Fault(
            "serial port gone",
            "serial line",
            lambda s: s.servos.unplug(),
            "fault",
            READ,
            lambda s: s.servos.plug(),
            (),
            _bus_says("serial port"),
        ),
        Fault(
            "garbage before every reply",
            "serial line",
            _set("servos", noise=b"\xff\xff\xfd\x00\x42garbage\xff"),
            "goes on",
            None,
            _set("servos", noise=b""),
        ),
        Fault(
            "a wrong bit in every reply",
            "serial line",
            _set("servos", corrupt=True),
            "fault",
            READ,
            _set("servos", corrupt=False),
        ),
        Fault(
            "encoders stuck",
            "serial line",
            _stick,
            "fault",
            # The swing comes to its end once a second.
            0.6 + 1.0,
            _unstick,
            ("servo_error",),
        ),
        # The cameras.
        Fault(
            "one camera gone",
            "camera",
            _set("cameras", gone=frozenset({"left"})),
            "goes on",
            None,
            _restore,
            sign=_camera_says("no frame for"),
            lasts=2.0,
        ),
        Fault(
            "all cameras gone",
            "camera",
            _set("cameras", gone=ALL),
            "holding",
            POSE_LOST + PICTURE,
            _restore,
            ("pose_lost",),
        ),
        Fault(
            "pictures missing for 0.2 s",
            "camera",
            _set("cameras", gone=ALL),
            "goes on",
            None,
            _restore,
            lasts=0.2,
        ),
        Fault(
            "one camera black",
            "camera",
            _set("cameras", black=frozenset({"left"})),
            "goes on",
            None,
            _restore,
            sign=_camera_says("black"),
        ),
        Fault(
            "all cameras black",
            "camera",
            _set("cameras", black=ALL),
            "holding",
            POSE_LOST + PICTURE,
            _restore,
            ("pose_lost",),
            _camera_says("black"),
        ),
        Fault(
            "one camera frozen",
            "camera",
            _set("cameras", frozen=frozenset({"left"})),
            "goes on",
            None,
            _restore,
            sign=_camera_says("frozen"),
            lasts=2.0,
        ),
        Fault(
            "all cameras frozen",
            "camera",
            _set("cameras", frozen=ALL),
            "holding",
            FROZEN_TIME + POSE_LOST + 2 * PICTURE,
            _restore,
            ("pose_lost",),
            _camera_says("frozen"),
        ),
        Fault(
            "pictures 0.4 s late",
            "camera",
            _set("cameras", delay=0.4),
            "pauses",
            PREDICT + PICTURE,
            _restore,
            sign=_camera_says("late"),
        ),
        Fault(
            "two cameras exchanged",
            "camera",
            _set("cameras", swap=True),
            "goes on",
            None,
            _restore,
            sign=_pose_is_right,
        ),
        Fault(
            "the cameras' clock runs backwards",
            "camera",
            _set("cameras", backwards=True),
            "holding",
            POSE_LOST + PICTURE,
            _restore,
            ("pose_lost",),
            _camera_says("do not advance"),
        ),
        Fault(
            "camera process killed",
            "process",
            _kill_camera,
            "goes on",
            None,
            lasts=2.5,
            sign=lambda s: "starting it again" in s.log.read_text(),
        ),
        Fault(
            "object dropped",
            "camera",
            _drop,
            "holding",
            # It has left the workspace 0.24 s after it began to roll.
            0.24 + 0.3,
            _restore,
            ("object_dropped",),
        ),
        # What the cameras' processes say.
        Fault(
            "a pose 8 cm off",
            "tag corners",
            _rogue(0.0, 0.08),
            "goes on",
            None,
            sign=_pose_is_right,
        ),
        Fault(
            "a pose turned over",
            "tag corners",
            _rogue(np.pi, 0.0),
            "goes on",
            None,
            sign=_pose_is_right,
        ),
        # The policy.
        Fault(
            "policy says NaN",
            "policy file",
            _policy("nan"),
            "holding",
            0.02,
            _honest,
            ("policy_failed",),
            begins=_trick_played,
        ),
        Fault(
            "policy raises",
            "policy file",
            _policy("raise"),
            "holding",
            0.02,
            _honest,
            ("policy_failed",),
            begins=_trick_played,
        ),
        Fault(
            "policy takes 0.2 s",
            "policy file",
            _policy("slow"),
            "holding",
            0.5,
            _honest,
            ("policy_failed", "bus_lost", "joints_stale"),
            # Servos that were not spoken to for 0.1 s have stopped by themselves.
            worst="fault",
            begins=_trick_played,
        ),
        Fault("policy file changed on disk", "policy file", _change_policy, "goes on"),
        # Time.
        Fault("tick stalled for 5 ms", "process", _stall(0.005), "goes on"),
        Fault("tick stalled for 50 ms", "process", _stall(0.05), "goes on"),
        Fault(
            "tick stalled for 0.5 s",
            "process",
            _stall(0.5),
            "fault",
            0.5 + READ,
            # The emergency stop line has not been read for as long.
            worst="estop",
        ),
        # The sockets.
        Fault("10,000 requests a second", "command socket", _flood, "goes on"),
        Fault("half messages", "command socket", _half_messages, "goes on"),
        Fault("a message of 100 MB", "command socket", _huge_message, "goes on"),
        Fault(
            "gateway killed",
            "process",
            _kill_gateway,
            "goes on",
            sign=lambda s: "gateway ended" in s.log.read_text(),
        ),
        Fault(
            "recorder killed",
            "process",
            lambda s: os.kill(s.child("controller.recorder_process"), signal.SIGKILL),
            "goes on",
            sign=lambda s: "recorder ended" in s.log.read_text(),
        ),
        Fault(
            "disk full",
            "recordings",
            _fill_disk,
            "goes on",
            None,
            _empty_disk,
            sign=lambda s: any(e["kind"] == "recording_failed" for e in s.events(0)),
        ),
        Fault(
            "fault injection asked for",
            "command socket",
            _refused("unknown_type", "inject_fault", fault="servo_silent"),
            "refused",
        ),
        Fault("a client with an unknown key", "network", _unknown_key, "refused"),
        Fault("a client of the wrong role", "network", _wrong_role, "refused"),
        Fault("a session played again", "network", _replay, "refused"),
        Fault("wrong policy files", "policy file", _wrong_policy, "refused"),
        Fault(
            "configuration edited",
            "file",
            _edit_configuration,
            "goes on",
            None,
            _mend_configuration,
        ),
        Fault("a second daemon on the hand", "process", _second_daemon, "refused"),
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
