"""The configuration file: TOML. Unknown keys are refused; `inhand config show` lists all keys."""

from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from inhand.controller.config.sections import (
    BusConfig,
    CamerasConfig,
    EstopLineConfig,
    NetworkConfig,
    PolicyConfig,
    RealtimeConfig,
    RecordingConfig,
    SimConfig,
    SocketsConfig,
)
from inhand.controller.config.settings import (
    ControlSettings,
    GoalSettings,
    MonitorSettings,
    SafetySettings,
)
from inhand.controller.errors import ConfigError
from inhand.descriptions import read_toml
from inhand.files import read_file


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
    if config.sim.seed < 0:
        raise ConfigError(f"[sim] seed = {config.sim.seed} must not be negative")
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
