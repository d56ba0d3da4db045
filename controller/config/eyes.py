"""What finds the object in the cameras' frames: its tags, a network, or both."""

from collections.abc import Mapping
from pathlib import Path

from inhand.controller.config.sections import CamerasConfig
from inhand.controller.errors import StartError
from inhand.hardware.model.hand import Hand
from inhand.perception.cameras import Camera
from inhand.perception.keypoints.network import VertexNetwork, shipped_network
from inhand.perception.objects import ObjectDescription
from inhand.perception.tags import family


def eyes_of(config: CamerasConfig, target: ObjectDescription) -> str:
    """The eyes in use: `tags`, `network` or `both`."""
    return target.eyes if config.eyes == "object" else config.eyes


def check_eyes(
    config: CamerasConfig, target: ObjectDescription, cameras: Mapping[str, Camera]
) -> VertexNetwork | None:
    """The configured network; None if the object is found by its tags alone.

    Checked before camera processes start: one that fails would be started again and again.

    Args:
        config: of the cameras.
        target: the object.
        cameras: the rig.

    Raises:
        StartError: the object has no tags, or no look that a network could find.
        PerceptionError: OpenCV has other tags, or the network does not fit object or rig.
    """
    eyes = eyes_of(config, target)
    if eyes in ("tags", "both"):
        family()
        if not target.tags:
            raise StartError(
                f"object {target.name!r} has no tags; give it some in its file, or write "
                'eyes = "network" under [cameras]'
            )
    if eyes == "tags":
        return None
    if not target.appearance:
        raise StartError(
            f"object {target.name!r} has no [appearance], so no network can find it; describe its "
            'faces in the object file, or write eyes = "tags" under [cameras]'
        )
    path = Path(config.network) if config.network else shipped_network(target)
    network = VertexNetwork(path, target)
    for camera in cameras.values():
        network.check_size(camera)
    return network


def eyes_arguments(network: VertexNetwork | None, hand: Hand, *, both: bool = False) -> list[str]:
    """Arguments of a camera process for a network, which looks around the hand's workspace."""
    if network is None:
        return []
    center = [str(value) for value in hand.workspace.center]
    looks = ["--network", str(network.path.absolute()), "--around", *center]
    return [*looks, "--both"] if both else looks
