"""The cameras of a rig file that have a source of frames."""

from collections.abc import Iterable
from pathlib import Path

from inhand.controller.errors import StartError
from inhand.perception.cameras import Camera, load_rig


def camera_rig(rig: str | Path, sources: Iterable[str]) -> dict[str, Camera]:
    """The cameras of a rig.

    Args:
        rig: its file.
        sources: names of the cameras that have a source.

    Raises:
        StartError: there is no rig or no source, or a source is of a camera that the rig lacks.
        PerceptionError: the rig's file is missing or wrong.
    """
    names = sorted(sources)
    if not rig or not names:
        raise StartError(
            "no camera: name a rig file and a source for each camera under [cameras] in the "
            "configuration, or start with --sim"
        )
    cameras = load_rig(rig)
    if unknown := [name for name in names if name not in cameras]:
        raise StartError(
            f"[cameras] sources: rig {rig} has no camera {', '.join(unknown)}; it has "
            f"{', '.join(cameras)}"
        )
    return cameras
