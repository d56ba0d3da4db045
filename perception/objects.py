"""Object descriptions: shape, mass, tags and symmetry, read from one TOML file each."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import permutations, product
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from inhand.descriptions import DescriptionKind
from inhand.perception import rotations
from inhand.perception.appearance import FaceMark, appearance_problem
from inhand.perception.errors import ObjectError
from inhand.perception.rotations import Array

OBJECTS = Path(__file__).parent / "object_files"
OBJECT_FILES = DescriptionKind("object", ObjectError, OBJECTS)

SCHEMA = 2
"""Version of object files. In those of version 1 a tag's up is its official picture's down."""


class TagPlacement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tag as the file gives it: on the middle of `face`, unless an offset is given.

    Its picture is upright as `perception.tags` says: its up is +z on the sides, +y on the ends.
    `offset` [m] and `turn` [rad] move the tag within its face (right, up; about the normal,
    counter-clockwise).
    """

    id: int
    size: float
    face: str
    offset: tuple[float, float] = (0.0, 0.0)
    turn: float = 0.0


class _ObjectFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    schema: Literal[1, 2]
    shape: Literal["box", "prism"]
    size: tuple[float, float, float]
    mass: float
    friction: float
    symmetry: Literal["none", "cube", "dihedral"]
    tags: tuple[TagPlacement, ...] = ()
    sides: int = 4
    appearance: dict[str, FaceMark] = {}
    eyes: Literal["", "tags", "network", "both"] = ""


@dataclass(frozen=True)
class Tag:
    """A tag on the object.

    Attributes:
        id: AprilTag 36h11 id.
        size: outer edge of the black border [m].
        position: centre, object frame [m], (3,).
        quaternion: object_from_tag, wxyz, (4,); tag x right, y up, z out of the face, as
            `inhand.perception.tags` says.
    """

    id: int
    size: float
    position: Array
    quaternion: Array

    @cached_property
    def square(self) -> Array:
        """Corners clockwise from the picture's top left, tag frame [m], (4, 3)."""
        half = self.size / 2
        return np.array([[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]])

    @cached_property
    def corners(self) -> Array:
        """The same in the object's frame [m], (4, 3)."""
        return self.position + rotations.rotate(self.quaternion, self.square)

    @cached_property
    def rotation(self) -> Array:
        """Object from tag, (3, 3)."""
        return rotations.to_matrix(self.quaternion)


@dataclass(frozen=True)
class ObjectDescription:
    """A convex object.

    Attributes:
        digest: SHA-256 of all but tags and appearance, which no physics depends on.
        size: extents along x, y, z [m]; of a prism, the distance between opposite sides
            (twice) and the length along z.
        mass: [kg].
        friction: nominal coefficient of the pair object-hand.
        symmetry: rotations that map the shape onto itself, (k, 4) wxyz, identity first.
        upside_down: whether tags' frames, and with them the order of corners, begin at the bottom
            right of the official pictures, as in recordings of schema 1.
        appearance: look of the faces for a network, by name; empty if the file has none.
        eyes: what finds it unless the configuration says otherwise: its `tags`, a `network`, or
            `both`. With `both`, the tags are on faces that look as the appearance says.
    """

    name: str
    digest: str
    shape: Literal["box", "prism"]
    size: tuple[float, float, float]
    sides: int
    mass: float
    friction: float
    symmetry: Array
    tags: tuple[Tag, ...]
    faces: dict[str, Array]
    upside_down: bool = False
    appearance: dict[str, FaceMark] = field(default_factory=dict)
    eyes: Literal["tags", "network", "both"] = "tags"

    @property
    def half_extents(self) -> Array:
        """Half of `size` [m], (3,)."""
        return np.array(self.size) / 2

    @property
    def look(self) -> str:
        """SHA-256 of shape, size and appearance: what a network that finds the object has seen."""
        marks = {name: [*mark.color, mark.letter] for name, mark in self.appearance.items()}
        facts: list[object] = [self.shape, self.size, self.sides, marks]
        if self.eyes == "both":
            facts.append([[tag.id, tag.corners.tolist()] for tag in self.tags])
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @cached_property
    def vertices(self) -> Array:
        """Corners of the convex shape, object frame [m], (n, 3)."""
        half = self.half_extents
        if self.shape == "box":
            vertices: Array = half * np.array(list(product((-1.0, 1.0), repeat=3)))
            return vertices
        radius = half[0] / np.cos(np.pi / self.sides)
        angles = (np.arange(self.sides) + 0.5) * 2 * np.pi / self.sides
        ring = radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        return np.concatenate(
            [np.column_stack([ring, np.full(self.sides, z)]) for z in (-half[2], half[2])]
        )

    def tag(self, tag_id: int) -> Tag:
        """The tag with this id.

        Raises:
            KeyError: the object carries no such tag.
        """
        for tag in self.tags:
            if tag.id == tag_id:
                return tag
        raise KeyError(tag_id)


_MOST_SIDES = 360
"""Most sides of a prism."""


@cache
def tags_of_known_objects() -> dict[str, frozenset[int]]:
    """Ids of the tags of each object in `perception/object_files/`, by its name."""
    known = (load_object(path.stem) for path in sorted(OBJECTS.glob("*.toml")))
    return {one.name: frozenset(tag.id for tag in one.tags) for one in known}


def object_file(name: str | Path) -> Path:
    """The file of an object, given by its name or path."""
    return OBJECT_FILES.file(name)


def load_object(name: str | Path, *, recorded: bool = False) -> ObjectDescription:
    """Loads an object by its name (a file in `perception/object_files/`) or by a path.

    Args:
        name: of the object, or path of its file.
        recorded: the file is a recording's own, whose corners follow it: schema 1 is read too.

    Raises:
        ObjectError: the file is missing, malformed or contradicts itself.
    """
    return parse_object(OBJECT_FILES.read(name), object_file(name), recorded=recorded)


def parse_object(raw: bytes, path: str | Path, *, recorded: bool = False) -> ObjectDescription:
    """The object that the content of a file describes.

    Args:
        raw: the content.
        path: of the file, for messages.
        recorded: the file is a recording's own, whose corners follow it: schema 1 is read too.

    Raises:
        ObjectError: the content is malformed or contradicts itself.
    """
    data = OBJECT_FILES.convert(raw, path, _ObjectFile)
    if data.schema != SCHEMA and not recorded:
        raise ObjectError(
            f"object file {path}: schema 1 has the tags' up where the official pictures have down. "
            f"If the tags were printed by inhand before: `inhand object migrate {path}`. If they "
            "are official prints: write schema = 2"
        )
    if abs(data.sides) > _MOST_SIDES:
        raise ObjectError(f"object file {path}: a prism has at most {_MOST_SIDES} sides")
    faces = _faces(data)
    _check(data, faces, path)
    return ObjectDescription(
        name=data.name,
        digest=_digest(data),
        shape=data.shape,
        size=data.size,
        sides=data.sides,
        mass=data.mass,
        friction=data.friction,
        symmetry=_symmetry_group(data),
        tags=tuple(_place(tag, faces[tag.face], data) for tag in data.tags),
        faces=faces,
        upside_down=data.schema == 1,
        appearance=data.appearance,
        eyes=data.eyes or ("network" if data.appearance and not data.tags else "tags"),
    )


def _digest(data: _ObjectFile) -> str:
    facts = msgspec.to_builtins(data)
    del facts["schema"], facts["tags"], facts["appearance"], facts["eyes"]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _faces(data: _ObjectFile) -> dict[str, Array]:
    """Outward unit normals by face name."""
    ends = {"+z": np.array([0.0, 0.0, 1.0]), "-z": np.array([0.0, 0.0, -1.0])}
    if data.shape == "box":
        x, y = np.eye(3)[0], np.eye(3)[1]
        return {"+x": x, "-x": -x, "+y": y, "-y": -y, **ends}
    angles = np.arange(data.sides) * 2 * np.pi / data.sides
    sides = {f"side{i}": np.array([np.cos(a), np.sin(a), 0.0]) for i, a in enumerate(angles)}
    return {**sides, **ends}


def _check(data: _ObjectFile, faces: dict[str, Array], path: str | Path) -> None:
    """Refuses an impossible description."""
    ids = [tag.id for tag in data.tags]
    problem = None
    if not all(0 < value < np.inf for value in (*data.size, data.mass, data.friction)):
        problem = "size, mass and friction must be positive and finite"
    elif data.shape == "prism" and (data.sides < 3 or data.size[0] != data.size[1]):
        problem = "a prism needs at least 3 sides and equal x and y sizes"
    elif data.symmetry == "cube" and (data.shape != "box" or len(set(data.size)) != 1):
        problem = "only a box with three equal edges has the symmetry of a cube"
    elif len(set(ids)) != len(ids):
        problem = f"tag ids {sorted({i for i in ids if ids.count(i) > 1})} are named twice"
    elif any(not 0 <= i < 587 for i in ids):
        problem = "tag ids of the family 36h11 are 0..586"
    else:
        named = {tag.face for tag in data.tags} | data.appearance.keys()
        unknown = sorted(named - faces.keys())
        if unknown:
            problem = f"unknown faces {unknown}; this shape has {', '.join(faces)}"
        elif data.appearance:
            problem = appearance_problem(data.appearance, faces)
        if not problem:
            problem = _eyes_problem(data)
    if problem:
        raise ObjectError(f"object file {path}: {problem}")


def _eyes_problem(data: _ObjectFile) -> str | None:
    """Why the object cannot be found by the eyes of its file; None if it can."""
    if data.eyes in ("tags", "both") and not data.tags:
        return f'eyes = "{data.eyes}" needs tags, and the file has none'
    if data.eyes in ("network", "both") and not data.appearance:
        return f'eyes = "{data.eyes}" needs [appearance], how the faces look'
    return None


def _place(tag: TagPlacement, normal: Array, data: _ObjectFile) -> Tag:
    """Puts a tag on its face: up is +z on the sides, +y on the ends."""
    up = np.array([0.0, 1.0, 0.0]) if abs(normal[2]) > 0.5 else np.array([0.0, 0.0, 1.0])
    frame = np.stack([np.cross(up, normal), up, normal], axis=-1)
    distance = data.size[2 if abs(normal[2]) > 0.5 else int(abs(normal[1]) > 0.5)] / 2
    if data.shape == "prism" and abs(normal[2]) < 0.5:
        distance = data.size[0] / 2
    turn = rotations.exp(np.array([0.0, 0.0, tag.turn]))
    return Tag(
        id=tag.id,
        size=tag.size,
        position=normal * distance + frame[:, :2] @ np.array(tag.offset),
        quaternion=rotations.multiply(rotations.from_matrix(frame), turn),
    )


def _symmetry_group(data: _ObjectFile) -> Array:
    """The rotations that map the shape onto itself, (k, 4) wxyz, identity first."""
    if data.symmetry == "none":
        return rotations.IDENTITY[None]
    if data.symmetry == "dihedral":
        turns = 2 * np.pi / data.sides * np.arange(data.sides)
        about_z = rotations.exp(turns[:, None] * np.array([0.0, 0.0, 1.0]))
        flip = np.array([0.0, 1.0, 0.0, 0.0])
        return np.concatenate([about_z, rotations.multiply(about_z, flip)])
    matrices = [
        np.eye(3)[list(order)] * np.array(signs)
        for order in permutations(range(3))
        for signs in product((1.0, -1.0), repeat=3)
    ]
    proper = np.array([m for m in matrices if np.linalg.det(m) > 0])
    quaternions = rotations.from_matrix(proper)
    return quaternions[np.argsort(-quaternions[:, 0], kind="stable")]
