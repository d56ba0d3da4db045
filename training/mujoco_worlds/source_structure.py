"""Checks the structure of a URDF: MuJoCo's own messages name neither links nor joints."""

import math
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

_HINGES = ("revolute", "continuous")
_ADVICE = {
    "ball": "replace it by three hinges with links of almost no mass between them, or fix it",
    "spherical": "replace it by three hinges with links of almost no mass between them, or fix it",
    "prismatic": "a hand has hinges only: replace it by a hinge, or fix it",
    "planar": "replace it by hinges, or fix it",
    "floating": "fix it, or leave out what it carries",
}


def urdf_problems(path: Path) -> Iterator[str]:
    """Yields why a URDF is no hand, with what to do; nothing for files that are no URDF.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        robot = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        yield f"it is no XML ({error}); export the model anew"
        return
    if robot.tag != "robot":
        return
    if any(_is_macro(part) for part in robot.iter()):
        yield f"it has xacro macros; expand them first: xacro {path.name} > hand.urdf"
    links = [link.get("name", "") for link in robot.findall("link")]
    joints = robot.findall("joint")
    for what, names in (("link", links), ("joint", [j.get("name", "") for j in joints])):
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"{what} {name} is there twice; give each {what} a name of its own"
        if "" in names:
            yield f"a {what} has no name; give it one"
    yield from _number_problems(robot)
    for joint in joints:
        yield from _joint_problems(joint, links, [j.get("name", "") for j in joints])
    yield from _tree_problems(links, joints)


def _is_macro(part: ElementTree.Element) -> bool:
    """Whether a part is of another XML namespace than URDF, which has none, or has a variable."""
    return part.tag.startswith("{") or any("${" in text for text in part.attrib.values())


def _number_problems(robot: ElementTree.Element) -> Iterator[str]:
    for owner in [*robot.findall("link"), *robot.findall("joint")]:
        for part in owner.iter():
            for key, text in part.attrib.items():
                if (count := _count(part.tag, key)) and (wrong := _wrong_numbers(text, count)):
                    yield f"{owner.tag} {owner.get('name')}: <{part.tag} {key}> {wrong}"


def _count(tag: str, key: str) -> int:
    """How many numbers an attribute of URDF has; 0: it is no number."""
    if key in ("xyz", "rpy", "scale") or (tag == "box" and key == "size"):
        return 3
    numbers = ("lower", "upper", "effort", "velocity", "radius", "length", "multiplier", "offset")
    inertial = tag in ("mass", "inertia") and key not in ("name",)
    return int(inertial or key in (*numbers, "damping", "friction"))


def _wrong_numbers(text: str, count: int) -> str:
    words = text.split()
    for word in words:
        if not _is_number(word):
            return f"has {word!r}; give a number"
    if len(words) != count:
        return f"has {len(words)} numbers; give {count}"
    return ""


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _joint_problems(
    joint: ElementTree.Element, links: list[str], joints: list[str]
) -> Iterator[str]:
    name, kind = joint.get("name"), joint.get("type", "")
    if kind not in (*_HINGES, "fixed"):
        advice = _ADVICE.get(kind, "URDF has revolute, continuous, prismatic and fixed joints")
        word = "slide" if kind == "prismatic" else kind
        yield f"joint {name} is a {word} joint; {advice}"
    axis = joint.find("axis")
    if axis is not None and not any(map(float, axis.get("xyz", "1").split())):
        yield f"joint {name}: its axis has no direction; give one, such as 0 0 1"
    for role in ("parent", "child"):
        part = joint.find(role)
        link = "" if part is None else part.get("link", "")
        if link not in links:
            yield f"joint {name}: its {role} {link!r} is no link of the file; correct the name"
    limit = joint.find("limit")
    if kind in _HINGES and limit is not None:
        low, high = float(limit.get("lower", 0)), float(limit.get("upper", 0))
        if low > high:
            yield f"joint {name}: its lower limit {low} is above the upper one, {high}; exchange"
    if (mimic := joint.find("mimic")) is not None:
        leader = mimic.get("joint", "")
        if leader not in joints or leader == name:
            yield f"joint {name} follows {leader!r}, which is no other joint; correct <mimic>"


def _tree_problems(links: list[str], joints: list[ElementTree.Element]) -> Iterator[str]:
    """Loops: a link with two parents, or links of which each is the parent of the next."""
    parents: dict[str, str] = {}
    for joint in joints:
        ends = [joint.find(role) for role in ("parent", "child")]
        parent, child = ("" if end is None else end.get("link", "") for end in ends)
        if child in parents:
            yield (
                f"link {child} has two parents, {parents[child]} and {parent}, which closes a "
                "loop; a hand is a tree: leave one joint out, and couple joints by <mimic>"
            )
        parents[child] = parent
    for link in links:
        at, steps = link, 0
        while at in parents and steps <= len(links):
            at, steps = parents[at], steps + 1
        if steps > len(links):
            yield f"link {link} is in a loop of joints; a hand is a tree: leave one joint out"
            return
    roots = [link for link in links if link not in parents]
    if len(roots) > 1:
        yield (
            f"links {', '.join(roots)} have no parent; a hand has one base: connect the others to "
            "it by fixed joints"
        )
