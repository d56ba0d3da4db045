"""What finds the object in the cameras' frames: its tags, or a network."""

from collections.abc import Mapping
from pathlib import Path

from inhand.controller.config.config import CamerasConfig
from inhand.controller.errors import StartError
from inhand.hardware.model.hand import Hand
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.tags import family


def eyes_arguments(
    config: CamerasConfig, hand: Hand, target: ObjectDescription, cameras: Mapping[str, Camera]
) -> list[str]:
    """Arguments of a camera process for the configured eyes, after a check that they can be used.

    A process that cannot use them would be started again and again.

    Args:
        config: of the cameras.
        hand: around whose workspace a network looks for the object.
        target: the object.
        cameras: the rig.

    Raises:
        StartError: the object has no tags, or no look that a network could find.
        PerceptionError: OpenCV has other tags, or the network does not fit object or rig.
    """
    if config.eyes == "tags":
        family()
        if not target.tags:
            raise StartError(
                f"object {target.name!r} has no tags; give it some in its file, or write "
                'eyes = "network" under [cameras]'
            )
        return []
    if not target.appearance:
        raise StartError(
            f"object {target.name!r} has no [appearance], so no network can find it; describe its "
            'faces in the object file, or write eyes = "tags" under [cameras]'
        )
    # With tags, no time is spent on ONNX Runtime's second session.
    from inhand.perception.keypoints.network import VertexNetwork, shipped_network

    path = Path(config.network) if config.network else shipped_network(target)
    network = VertexNetwork(path, target)
    for camera in cameras.values():
        network.check_size(camera)
    center = [str(value) for value in hand.workspace.center]
    return ["--network", str(path.absolute()), "--around", *center]
