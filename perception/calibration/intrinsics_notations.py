"""Notations of intrinsics files: YAML, OpenCV's XML, ROS' ost.txt; numbers that are named."""

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import yaml

_FOCAL = (
    ("fx", "fu", "fl_x", "mu"),
    ("fy", "fv", "fl_y", "mv"),
    ("cx", "cu", "ppx", "u0"),
    ("cy", "cv", "ppy", "v0"),
)
_PINHOLE = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
_FISHEYE = ("k1", "k2", "k3", "k4")
_CAMODOCAL_FISHEYE = ("k2", "k3", "k4", "k5")
_ORB_SLAM = re.compile(r"Camera1?\.(\w+)")
_OST_SECTIONS = ("camera matrix", "distortion", "rectification", "projection", "width", "height")


class _Reader(yaml.SafeLoader):
    """Reads OpenCV's tags too."""


_Reader.add_multi_constructor(
    "tag:yaml.org,2002:opencv-",
    lambda loader, suffix, node: loader.construct_mapping(node, deep=True),
)


def parse(text: str) -> Any:
    """The content of a file; names and values, if it has any.

    Raises:
        ValueError: it has no known notation; the message is one line.
    """
    text = text.removeprefix("\ufeff")
    if text.lstrip().startswith("<"):
        return _of_xml(text)
    if re.search(r"^camera matrix\s*$", text, re.MULTILINE):
        return _of_ost(text)
    # OpenCV writes `%YAML:1.0`, which is no directive of YAML.
    text = re.sub(r"\A%YAML:[^\n]*\n", "", text)
    try:
        data = next(iter(yaml.load_all(text, _Reader)), None)
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"it is not YAML; is it complete? {reason}") from error
    return _without_prefix(data) if isinstance(data, Mapping) else data


def focal_numbers(data: Mapping[str, Any]) -> list[Any] | None:
    """Focal lengths and principal point [px] that are given by name; None if they are not.

    They are in the file itself, as RealSense and ORB-SLAM have them, or below `intrinsics` or
    `projection_parameters` (camodocal, VINS).
    """
    inner = data.get("intrinsics", data.get("projection_parameters"))
    place = inner if isinstance(inner, Mapping) else data
    found = [next((place[name] for name in names if name in place), None) for names in _FOCAL]
    return None if None in found else found


def distortion_numbers(data: Mapping[str, Any], given: Any, *, fisheye: bool) -> Any:
    """Numbers of distortion that are given by name, as a list; anything else as it is.

    Args:
        data: of the camera.
        given: its distortion, as far as it has one.
        fisheye: whether the names are those of a fisheye lens.
    """
    below = data.get("projection_parameters")
    if given is None and fisheye and isinstance(below, Mapping):
        return [below.get(name) for name in _CAMODOCAL_FISHEYE]
    place = data if given is None else given
    if not isinstance(place, Mapping) or "data" in place or "k1" not in place:
        return given
    names = _FISHEYE if fisheye else _PINHOLE
    numbers = [place.get(name, 0.0) for name in names]
    # The last ones are those of a rational lens.
    return numbers if fisheye or any(name in place for name in _PINHOLE[5:]) else numbers[:5]


def _without_prefix(data: Mapping[Any, Any]) -> dict[Any, Any]:
    """ORB-SLAM's names `Camera.fx` or `Camera1.fx` without what precedes the point."""
    found = {name: _ORB_SLAM.fullmatch(str(name)) for name in data}
    plain = {match[1] if (match := found[name]) else name: data[name] for name in data}
    if any(found.values()) and "type" in plain:
        plain["distortion_model"] = plain["type"]
    return plain


def _of_xml(text: str) -> dict[str, Any]:
    """OpenCV's FileStorage as XML."""
    if "<!" in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL):
        raise ValueError("its XML declares a document type; remove it")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"it is not XML; is it complete? {error}") from None
    if root.tag != "opencv_storage":
        raise ValueError(f"its XML is <{root.tag}>; OpenCV's <opencv_storage> is read")
    data: dict[str, Any] = {}
    for part in root:
        content = part.find("data")
        if content is None:
            words = (part.text or "").split()
            data[part.tag] = words[0] if len(words) == 1 else words
        else:
            sides = {name: part.findtext(name) for name in ("rows", "cols")}
            data[part.tag] = {**sides, "data": (content.text or "").split()}
    return data


def _of_ost(text: str) -> dict[str, Any]:
    """The text that ROS' `cameracalibrator` prints and saves as ost.txt."""
    data: dict[str, Any] = {}
    values: list[str] = []
    for line in text.splitlines():
        word = line.strip()
        if word in _OST_SECTIONS:
            values = data.setdefault(word.replace(" ", "_"), [])
        elif word and word[0] not in "#[":
            values += word.split()
    for side in ("width", "height"):
        (data[side],) = data.get(side) or [None]
    return data
