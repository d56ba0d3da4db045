"""The configuration file: TOML. Unknown keys are refused; `inhand config show` lists all keys."""

from pathlib import Path
from typing import Any, Literal

import msgspec
import tomli_w

from inhand.controller.config.settings import (
    ControlSettings,
    GoalSettings,
    MonitorSettings,
    SafetySettings,
)
from inhand.controller.errors import ConfigError
from inhand.descriptions import read_toml
from inhand.files import read_file
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
            none.
        allow: SHA-256 of further files that may be loaded, beside the shipped ones.
    """

    directory: str = ""
    file: str = "{object}.onnx"
    allow: tuple[str, ...] = ()

    def file_for(self, object_name: str) -> str:
        """Name of the file to load at start for an object; empty for none."""
        return self.file.replace("{object}", object_name)


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


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole configuration.

    Attributes:
        hand: name or file of the hand's description.
        object: name or file of the object's description.
        tick_rate: commands to the servos a second [Hz].
        bus: the serial line to the servos.
        cameras: the cameras.
        policy: the policies.
        goals: when a goal counts as reached.
        safety: when the hand is made safe.
        monitor: what happens when hand or object behave unlike anything in training.
        realtime: real-time scheduling of the tick.
        estop_line: a switch that stops the hand.
        sockets: directory and access of the local sockets.
        network: addresses on the network.
        recording: settings of the flight recorder.
        sim: the simulated hand.
    """

    hand: str = "dactyl24"
    object: str = "block"
    tick_rate: int = 100
    bus: BusConfig = BusConfig()
    cameras: CamerasConfig = CamerasConfig()
    policy: PolicyConfig = PolicyConfig()
    goals: GoalSettings = GoalSettings()
    safety: SafetySettings = SafetySettings()
    monitor: MonitorSettings = MonitorSettings()
    realtime: RealtimeConfig = RealtimeConfig()
    estop_line: EstopLineConfig = EstopLineConfig()
    sockets: SocketsConfig = SocketsConfig()
    network: NetworkConfig = NetworkConfig()
    recording: RecordingConfig = RecordingConfig()
    sim: SimConfig = SimConfig()

    @property
    def control(self) -> ControlSettings:
        """The settings of the controller core."""
        return ControlSettings(
            self.tick_rate, self.goals, self.safety, self.cameras.follow_hand, self.monitor
        )


def load_config(path: str | Path | None) -> Config:
    """Reads and checks a configuration; all defaults if there is no file.

    Raises:
        ConfigError: the file cannot be read, or a key or value is wrong; in one line.
    """
    if path is None:
        return Config()
    try:
        data = read_toml(read_file(path))
        config = msgspec.convert(_gathered(data), Config)
        _check(config)
    except OSError as error:
        raise ConfigError(f"config file {path}: {error.strerror}") from error
    except (ValueError, msgspec.ValidationError) as error:
        problem = " ".join(str(error).split())
        raise ConfigError(
            f"config file {path}: {problem}; `inhand config show` lists every key"
        ) from error
    except ConfigError as error:
        raise ConfigError(f"config file {path}: {error}") from error
    return config


def show_config(config: Config) -> str:
    """The configuration as TOML, defaults included."""
    data = msgspec.to_builtins(config)
    for name, device in data["cameras"].pop("devices").items():
        # TOML has no word for what is not set.
        data["cameras"][name] = {key: one for key, one in device.items() if one not in (None, "")}
    return tomli_w.dumps(data)


def _gathered(data: dict[str, Any]) -> dict[str, Any]:
    """The content of a file with the tables `[cameras.NAME]` under `devices`.

    Raises:
        ConfigError: a camera has two sources.
    """
    cameras = data.get("cameras")
    if not isinstance(cameras, dict):
        return data
    kept, sources = dict(cameras), cameras.get("sources", {})
    if "devices" in kept:
        raise ConfigError("[cameras] devices: write a table [cameras.NAME] for each camera")
    devices = {
        name: kept.pop(name)
        for name, value in cameras.items()
        if isinstance(value, dict) and name != "sources"
    }
    for name, device in devices.items():
        if source := device.get("source"):
            if isinstance(sources, dict) and sources.get(name, source) != source:
                raise ConfigError(f"[cameras.{name}] source: [cameras] sources names another one")
            kept["sources"] = {**kept.get("sources", {}), name: source}
    return {**data, "cameras": {**kept, "devices": devices}}


def _check(config: Config) -> None:
    config.goals.check()
    config.safety.check()
    config.monitor.check()
    if not 20 <= config.tick_rate <= 500:
        raise ConfigError(f"tick_rate = {config.tick_rate} Hz must lie in 20..500")
    if not 9_600 <= config.bus.baud <= 10_000_000:
        raise ConfigError(f"[bus] baud = {config.bus.baud} must lie in 9600..10000000")
    if not 0 <= config.bus.watchdog <= 2.54:
        raise ConfigError(f"[bus] watchdog = {config.bus.watchdog} s must lie in 0..2.54")
    gains = config.bus.gains
    if len(gains) not in (0, 3) or not all(0 <= gain <= 16_383 for gain in gains):
        raise ConfigError(f"[bus] gains = {list(gains)} must be empty or three of 0..16383")
    if not 0 < config.bus.torque_share <= 1:
        raise ConfigError(f"[bus] torque_share = {config.bus.torque_share} must lie in (0, 1]")
    if not 0 <= config.realtime.priority <= 99:
        raise ConfigError(f"[realtime] priority = {config.realtime.priority} must lie in 0..99")
    if not 0 <= config.realtime.spin <= 0.002:
        raise ConfigError(f"[realtime] spin = {config.realtime.spin} s must lie in 0..0.002")
    line = config.estop_line
    if line.source in ("cts", "dsr") and not line.port:
        raise ConfigError(f'[estop_line] source = "{line.source}" needs the port with that pin')
    recording = config.recording
    if not 1 <= recording.seconds <= 600:
        raise ConfigError(f"[recording] seconds = {recording.seconds} s must lie in 1..600")
    if not 1 <= recording.file_size <= recording.total_size:
        raise ConfigError("[recording] must have 1 <= file_size <= total_size MB")
    for name, device in config.cameras.devices.items():
        if device.problem:
            raise ConfigError(f"[cameras.{name}] {device.problem}")
        if name not in config.cameras.sources:
            raise ConfigError(f'[cameras.{name}] has no source, like "/dev/video0"')
    network = config.network
    if bool(network.command) != bool(network.state):
        raise ConfigError("[network] needs both command and state, or neither")
    for address in (network.command, network.state):
        if address and not address.startswith("tcp://"):
            raise ConfigError(f'[network] "{address}" must be like "tcp://*:7411"')
    for digest in config.policy.allow:
        if len(digest) != 64 or any(c not in "0123456789abcdef" for c in digest):
            raise ConfigError(
                f'[policy] allow: "{digest}" is no SHA-256 (64 lower-case hexadecimal digits)'
            )
