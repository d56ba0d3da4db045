"""The sections of the configuration file, with their defaults."""

from typing import Literal

import msgspec

from inhand.perception.camera.settings import DeviceSettings


class BusConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The serial line to the servos.

    Attributes:
        port: the device file.
        others: device files of further buses, and the ids of the servos on each, which are read at
            the same time; all other servos are on `port`.
        baud: bits a second.
        watchdog: the servos stop by themselves when they have received nothing for this time [s],
            in steps of 20 ms; 0 for never.
        gains: register values of the servos' proportional, integral and derivative position gain;
            empty leaves their own.
        torque_share: share of each actuator's torque limit that the servos may use.
        joints: file from `inhand calibrate joints`, with zero, sign and range of each servo; empty
            for those of the hand file.
        measured: file from `inhand calibrate servos`, for `inhand doctor` to compare with what the
            policy was trained on; empty for none.
    """

    port: str = "/dev/inhand"
    others: dict[str, tuple[int, ...]] = {}
    baud: int = 4_000_000
    watchdog: float = 0.1
    gains: tuple[int, ...] = ()
    torque_share: float = 1.0
    joints: str = ""
    measured: str = ""


class CameraConfig(DeviceSettings, frozen=True, forbid_unknown_fields=True):
    """One camera: the source of its frames, and its settings.

    Attributes:
        source: as under `sources`; empty if it is named there.
    """

    source: str = ""


class CamerasConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The cameras.

    Attributes:
        rig: file that describes them.
        sources: source of each camera's frames, by its name in the rig.
        devices: settings of each camera; in the file each is a table, `[cameras.NAME]`.
        follow_hand: whether the object is predicted to move with the links that touch it between
            frames, and not by its velocity alone.
        eyes: what finds the object in the frames: its `tags`, a `network` for its faces, or `both`
            as a check of one another; `object` for what the object's file says.
        network: file of that network; empty for the one that came with the program for the object.
    """

    rig: str = ""
    sources: dict[str, str] = {}
    devices: dict[str, CameraConfig] = {}
    follow_hand: bool = True
    eyes: Literal["object", "tags", "network", "both"] = "object"
    network: str = ""


class PolicyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The policies.

    Attributes:
        directory: of the policy files; empty for the shipped ones.
        file: name of the one to load at start, `{object}` standing for the object's name; empty for
            none. With `{object}`, a file of this name after the hand's name and a hyphen comes
            first: `leap-block.onnx` for the hand leap.
        allow: SHA-256 of further files that may be loaded, beside the shipped ones.
    """

    directory: str = ""
    file: str = "{object}.onnx"
    allow: tuple[str, ...] = ()


class RealtimeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Real-time scheduling of the tick.

    Attributes:
        priority: SCHED_FIFO priority; 0 leaves the ordinary scheduler.
        affinity: processors to tick on; empty leaves all.
        lock_memory: whether to keep the process's pages in memory.
        spin: how long before a deadline to stop sleeping and spin [s]; it must be longer than the
            wake-up latency.
        stay_awake: whether to keep the machine from going to sleep while the hand has torque.
    """

    priority: int = 50
    affinity: tuple[int, ...] = ()
    lock_memory: bool = True
    spin: float = 0.0003
    stay_awake: bool = True


class EstopLineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A switch that stops the hand, wired to this machine; closed in normal operation.

    Attributes:
        source: `cts` or `dsr`, a pin of a serial port, or the path of a file or FIFO that holds `1`
            in normal operation; empty for no such switch.
        port: the serial port with that pin.
    """

    source: str = ""
    port: str = ""


class SocketsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the command and state sockets are, and who may open them.

    Attributes:
        directory: empty for the usual place (docs/protocol.md).
        observers: who may watch: the daemon's group, which also commands, or `everybody` on this
            machine.
    """

    directory: str = ""
    observers: Literal["group", "everybody"] = "group"


class NetworkConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Addresses on the network; without them the daemon is not reachable over it.

    Attributes:
        command: address for commands, like `tcp://*:7411`.
        state: address for state and events.
        keys: directory of the keys (`inhand keys`).
    """

    command: str = ""
    state: str = ""
    keys: str = "/var/lib/inhand/keys"


class RecordingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the flight recorder.

    Attributes:
        directory: where recordings go; empty for the usual place (docs/recording.md).
        seconds: how much of the past is in memory [s].
        file_size: size at which a continuous recording goes on in another file [MB].
        total_size: size of all recordings at which the oldest are deleted [MB].
    """

    directory: str = ""
    seconds: float = 30.0
    file_size: int = 100
    total_size: int = 2000


class SimConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The simulated hand, with `inhandd --sim`.

    Attributes:
        universe: file with the differences from the nominal world; empty for none.
        seed: of its random numbers.
    """

    universe: str = ""
    seed: int = 0
