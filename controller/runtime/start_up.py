"""What the daemon starts with: its first policy, and the configuration of its recorder."""

import logging
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

from inhand.controller.config.config import Config
from inhand.controller.errors import PolicyError
from inhand.controller.policy.files import SHIPPED, allowed_hashes, file_to_load
from inhand.controller.policy.monitor_file import load_monitor, monitor_beside
from inhand.controller.policy.runtime import Policy, load_policy
from inhand.controller.recording.file_writer import Limits
from inhand.controller.recording.reader import Header, versions
from inhand.controller.recording.recorder_link import RecorderConfig
from inhand.controller.runtime.arm_check import Surroundings
from inhand.controller.runtime.options import Options
from inhand.controller.runtime.processes import SimulationReady
from inhand.controller.system.log import say
from inhand.controller.system.notify import notify
from inhand.controller.system.paths import image_address, recordings_directory, socket_address
from inhand.hardware.model.hand import Hand, hand_file
from inhand.perception.objects import ObjectDescription, object_file

log = logging.getLogger(__name__)


def policy_directory(config: Config) -> Path:
    """Where policies are looked for by their names."""
    return Path(config.policy.directory) if config.policy.directory else SHIPPED


def first_policy(
    wanted: Path | None, config: Config, hand: Hand, target: ObjectDescription
) -> Policy | None:
    """The policy to start with; None, with a warning, if none was ever made or wanted.

    Args:
        wanted: file of the policy that the options name; None for the configured one.
        config: the configuration.
        hand: the hand that it must fit.
        target: the object that it must fit.

    Raises:
        PolicyError: the policy cannot be used.
    """
    if wanted is not None:
        policy = load_policy(wanted, hand, target, allowed=None)
        return with_monitor(with_warnings(policy), wanted, hand)
    directory = policy_directory(config)
    file = file_to_load(config.policy, hand.name, target.name, directory)
    if not file:
        return None
    if directory == SHIPPED and not (SHIPPED / file).exists():
        log.warning("no policy came with this program: the hand can move but not be armed")
        return None
    path = directory / file
    policy = load_policy(path, hand, target, allowed=allowed_hashes(config.policy))
    return with_monitor(with_warnings(policy), path, hand)


def with_warnings(policy: Policy) -> Policy:
    """The policy, after a warning for each value of the hand that was another in training."""
    for difference in policy.differences:
        log.warning("policy %s: trained with another %s", policy.name, difference)
    return policy


def with_monitor(policy: Policy, path: Path, hand: Hand) -> Policy:
    """The policy with the monitor beside its file, if there is one; a warning if it is no use."""
    beside = monitor_beside(path)
    if beside.exists():
        try:
            policy.monitor = load_monitor(beside, policy, hand)
        except PolicyError as error:
            log.warning("%s; the policy runs without a monitor", error)
    return policy


def recorder_config(
    options: Options, config: Config, directory: Path, world: SimulationReady | None
) -> RecorderConfig:
    """What the recorder's process needs to know.

    Args:
        options: of the daemon.
        config: the configuration.
        directory: where the daemon's sockets are.
        world: the simulated world, if there is one.
    """
    recording = config.recording
    header = Header(
        hand=hand_file(config.hand).read_text(),
        object=object_file(config.object).read_text(),
        rig=Path(world.rig if world else config.cameras.rig).read_text(),
        control=config.control,
        readonly=options.readonly,
        policy_directory=str(policy_directory(config)),
        monitors=True,
        versions=versions(),
    )
    sources = world.cameras if world else config.cameras.sources
    megabyte = 1_000_000
    return RecorderConfig(
        str(recordings_directory(recording.directory, options.directory)),
        Limits(recording.seconds, megabyte * recording.file_size, megabyte * recording.total_size),
        header,
        tuple(image_address(directory, name) for name in sources),
        str(directory) if options.timed else "",
    )


def surroundings(
    options: Options,
    config: Config,
    hand: Hand,
    world: SimulationReady | None,
    granted: Mapping[str, bool],
) -> Surroundings:
    """What `inhand arm` warns of.

    Args:
        options: of the daemon.
        config: the configuration.
        hand: the hand.
        world: the simulated world, if there is one.
        granted: for each real-time measure that was asked for, whether the system granted it.
    """
    return Surroundings(
        hand,
        recordings_directory(config.recording.directory, options.directory),
        uncalibrated=not (world or config.bus.joints),
        refused=[name for name, given in granted.items() if not given],
    )


def announce(directory: Path, world: SimulationReady | None) -> None:
    """Says, on standard output and to the service manager, that commands are welcome."""
    say(f"inhandd ready: {socket_address(directory, 'command')}")
    if world:
        late = monotonic() - world.up
        say(f"simulated world: {world.world}, ready {late:.2f} s after it was up")
    notify("READY=1")
