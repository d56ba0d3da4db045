"""Whether what a configuration names is there and fits together, as `inhandd` needs it."""

from inhand.controller.config.camera_rig import camera_rig
from inhand.controller.config.config import Config
from inhand.controller.config.eyes import check_eyes
from inhand.controller.core.interfaces import require_rate
from inhand.controller.ipc.keys import KeyRing
from inhand.controller.runtime.start_up import first_policy
from inhand.controller.system.open_hand import seated_hand
from inhand.hardware.dynamixel.hand_check import check_servos
from inhand.hardware.dynamixel.parallel import by_port
from inhand.hardware.dynamixel.simulated_servos import with_servos
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object


def check_named(config: Config, *, simulated: bool) -> list[str]:
    """Reads what a configuration names; opens no device.

    Args:
        config: the configuration.
        simulated: whether it is for `inhandd --sim`, which has a bus and cameras of its own.

    Returns:
        What is still missing before the hand can be used, in words.

    Raises:
        InhandError: something is missing, wrong, or does not fit the rest.
    """
    hand, target = load_hand(config.hand), load_object(config.object)
    missing = []
    if simulated:
        hand = with_servos(hand)
    else:
        seated = seated_hand(hand, config.bus)
        by_port(seated, config.bus.port, config.bus.others)
        check_servos(seated, config.bus.baud)
    policy = first_policy(None, config, hand, target)
    if policy is None:
        missing.append("no policy: the hand can move, but not be armed")
    else:
        require_rate(policy, config.tick_rate)
    eyes = config.cameras
    cameras = {}
    if not simulated and (eyes.rig or eyes.sources):
        cameras = camera_rig(eyes.rig, eyes.sources)
    elif not simulated:
        missing.append("no cameras: inhandd starts with --sim alone")
    check_eyes(eyes, target, cameras)
    if config.network.command:
        KeyRing(config.network.keys).server()
    return missing
