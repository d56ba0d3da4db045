"""Sets the properties of an open camera, and reads back which values it took."""

from collections.abc import Iterator
from typing import NamedTuple

import cv2

from inhand.perception.camera.settings import DeviceSettings

EXPOSURE_UNIT = 1e-4
"""Unit of V4L2's exposure time [s]."""

MANUAL_EXPOSURE = 1
"""V4L2's value of `exposure_auto` for a time that is set by hand."""

CLOSE = 0.1
"""Largest difference of a value from the one asked for, relative to it, that is not reported."""


class _Request(NamedTuple):
    """One property of a device; those without a name are means to an end."""

    name: str
    key: int
    value: float


def apply_settings(
    device: cv2.VideoCapture, size: tuple[int, int], settings: DeviceSettings
) -> list[str]:
    """Sets an open camera, reads everything back, and returns what is not as asked.

    Args:
        device: the camera.
        size: width and height to ask for if the settings have none [px].
        settings: the rest.
    """
    requests = list(_requests(settings.size or size, settings))
    for request in requests:
        device.set(request.key, request.value)
    differ = []
    for request in requests:
        found = float(device.get(request.key))
        if request.name and abs(found - request.value) > CLOSE * abs(request.value):
            asked, told = _shown(request, request.value), _shown(request, found)
            differ.append(f"{request.name} {asked} was asked for, the camera has {told}")
    return differ


def _requests(size: tuple[int, int], settings: DeviceSettings) -> Iterator[_Request]:
    """The properties, in the order in which drivers accept them: the format decides the rest."""
    if settings.format:
        yield _Request("format", cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*settings.format))
    yield _Request("width", cv2.CAP_PROP_FRAME_WIDTH, size[0])
    yield _Request("height", cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    if settings.rate is not None:
        yield _Request("rate", cv2.CAP_PROP_FPS, settings.rate)
    if settings.exposure is not None:
        yield _Request("", cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL_EXPOSURE)
        yield _Request("exposure", cv2.CAP_PROP_EXPOSURE, settings.exposure / EXPOSURE_UNIT)
    if settings.gain is not None:
        yield _Request("gain", cv2.CAP_PROP_GAIN, settings.gain)
    if settings.focus is not None:
        yield _Request("", cv2.CAP_PROP_AUTOFOCUS, 0)
        yield _Request("focus", cv2.CAP_PROP_FOCUS, settings.focus)
    if settings.white_balance is not None:
        yield _Request("", cv2.CAP_PROP_AUTO_WB, 0)
        yield _Request("white balance", cv2.CAP_PROP_WB_TEMPERATURE, settings.white_balance)


def _shown(request: _Request, value: float) -> str:
    if request.name == "format":
        return fourcc(value)
    if request.name == "exposure":
        return f"{1000 * EXPOSURE_UNIT * value:g} ms"
    return f"{value:g}"


def fourcc(value: float) -> str:
    """The four letters of a pixel format."""
    code = int(value) & 0xFFFFFFFF
    return code.to_bytes(4, "little").decode("ascii", "replace").strip("\0 ") or "none"
