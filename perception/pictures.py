"""Pictures as files."""

from pathlib import Path

import cv2

from inhand.files import write_whole
from inhand.perception.errors import PerceptionError
from inhand.perception.tags import Image


def write_picture(path: str | Path, image: Image) -> None:
    """Writes a picture, whole or not at all.

    Args:
        path: of the file; its ending names the format.
        image: gray (height, width), or (height, width, 3) as BGR.

    Raises:
        PerceptionError: there is no picture format of that ending.
        WriteError: the file cannot be written.
    """
    try:
        done, data = cv2.imencode(Path(path).suffix, image)
    except cv2.error:
        done = False
    if not done:
        raise PerceptionError(f"picture {path}: no picture format ends so; name a .png file")
    write_whole(path, data.tobytes())
