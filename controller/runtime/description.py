"""Description of the hand, the object and the cameras for clients and web pages."""

from importlib.metadata import version
from pathlib import Path

from inhand.controller.config.config import Config
from inhand.controller.runtime.processes import SimulationReady
from inhand.controller.system.paths import image_address, world_states_address
from inhand.hardware.model.hand import hand_file
from inhand.perception.objects import object_file


def describe_for_clients(
    config: Config, directory: Path, world: SimulationReady | None
) -> dict[str, object]:
    """Describes the hand, the object and the cameras by the text of their files.

    Args:
        config: the daemon's configuration.
        directory: directory of the daemon's sockets.
        world: the simulated world, if there is one.
    """
    names = world.cameras if world else config.cameras.sources
    return {
        "program": version("inhand"),
        "tick_rate": config.tick_rate,
        "hand": hand_file(config.hand).read_text(),
        "object": object_file(config.object).read_text(),
        "rig": Path(world.rig if world else config.cameras.rig).read_text(),
        "images": {name: image_address(directory, name) for name in names},
        "world": world.world if world else None,
        "world_states": world_states_address(directory) if world else None,
    }
