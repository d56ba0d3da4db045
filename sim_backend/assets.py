"""Visual model of the object: a textured mesh from its description.

Each face is one cell of a texture atlas, with its tags drawn at the poses of the description.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from inhand.perception import rotations
from inhand.perception.face_picture import (
    PIXELS_PER_METRE,
    PRINT_BLUR,
    face_corners,
    face_frame,
    marked_face,
    to_cell,
)
from inhand.perception.objects import ObjectDescription, Tag
from inhand.perception.rotations import Array
from inhand.perception.tags import MODULES, Image, tag_image

SAMPLES = 4
"""Samples along each edge of a texel; a texel's grey is the share of white samples. OpenCV's warps
are not used: their edges differ by up to a texel between versions."""
RIM = 0.0015
"""Width of the coloured rim, by which people distinguish the faces [m]."""
FACE_COLORS = (
    (225, 60, 60),
    (250, 160, 50),
    (60, 170, 75),
    (70, 130, 235),
    (250, 215, 60),
    (160, 90, 205),
    (60, 190, 200),
    (235, 110, 170),
    (140, 140, 60),
    (120, 120, 120),
)


@dataclass(frozen=True)
class ObjectAssets:
    """Files of one object.

    Attributes:
        mesh: Wavefront OBJ, metres, object frame; names its material and texture.
        texture: the atlas, PNG.
    """

    mesh: Path
    texture: Path


def write_object_assets(
    description: ObjectDescription, directory: Path, *, tagged: bool = True
) -> ObjectAssets:
    """Writes mesh, material and texture of an object, named after it, into `directory`.

    Tags are drawn where `description` puts them, so a description with moved tags gives an
    object whose tags are glued there.

    Args:
        description: the object.
        directory: for the files.
        tagged: draw the tags; otherwise colours and letters of the description's appearance, with
            the tags on them if the object has both.

    Raises:
        OSError: a file cannot be written.
    """
    stem = description.name
    assets = ObjectAssets(mesh=directory / f"{stem}.obj", texture=directory / f"{stem}.png")
    directory.mkdir(parents=True, exist_ok=True)
    polygons = {
        name: description.vertices[face_corners(description.vertices, normal)]
        for name, normal in description.faces.items()
    }
    frames = {name: face_frame(normal) for name, normal in description.faces.items()}
    reach = max(
        float(np.abs(polygon @ frames[name][:, :2]).max()) for name, polygon in polygons.items()
    )
    cell = int(np.ceil(2 * (reach + RIM) * PIXELS_PER_METRE))
    columns = int(np.ceil(np.sqrt(len(polygons))))
    rows = int(np.ceil(len(polygons) / columns))
    atlas = np.full((rows * cell, columns * cell, 3), 255, dtype=np.uint8)
    lines = [f"mtllib {stem}.mtl", "usemtl faces"]
    for index, (name, polygon) in enumerate(polygons.items()):
        row, column = divmod(index, columns)
        flat = polygon @ frames[name][:, :2]
        color = FACE_COLORS[index % len(FACE_COLORS)]
        tags = [tag for tag in description.tags if _lies_on(tag, description.faces[name])]
        image = (
            _face_image(flat, frames[name], tags, color, cell)
            if tagged
            else marked_face(description.appearance[name], flat, cell)
        )
        if not tagged and description.eyes == "both":
            _glue(image, tags, frames[name], cell)
        atlas[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = image
        pixels = to_cell(flat, cell) + 0.5 + np.array([column, row]) * cell
        coordinates = pixels / np.array([columns * cell, rows * cell])
        lines += [f"v {x:.9f} {y:.9f} {z:.9f}" for x, y, z in polygon]
        lines += [f"vt {u:.9f} {1 - v:.9f}" for u, v in coordinates]
        lines.append(f"vn {' '.join(f'{c:.9f}' for c in description.faces[name])}")
        first = 1 + sum(len(other) for other in list(polygons.values())[:index])
        for corner in range(1, len(polygon) - 1):
            fan = (first, first + corner, first + corner + 1)
            lines.append("f " + " ".join(f"{i}/{i}/{index + 1}" for i in fan))
    if not cv2.imwrite(str(assets.texture), atlas):
        raise OSError(f"cannot write the texture {assets.texture}; is the disk full?")
    material = f"newmtl faces\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nmap_Kd {assets.texture.name}\n"
    (directory / f"{stem}.mtl").write_text(material)
    assets.mesh.write_text("\n".join(lines) + "\n")
    return assets


def capsule_mesh(radius: float, half_length: float, sides: int) -> str:
    """A capsule along z as Wavefront OBJ with smooth normals, metres.

    Args:
        radius: [m].
        half_length: of the straight part [m].
        sides: number of faces around the axis; each cap has a quarter as many rings.
    """
    rise = np.linspace(0.0, np.pi / 2, max(2, sides // 4), endpoint=False)
    heights = np.concatenate(
        [
            -half_length - radius * np.sin(rise[::-1]),
            half_length + radius * np.sin(rise),
        ]
    )
    slopes = np.concatenate([-rise[::-1], rise])
    around = np.arange(sides) * 2 * np.pi / sides
    ring = np.stack([np.cos(around), np.sin(around)], axis=-1)
    normals = [np.array([[0.0, 0.0, -1.0]])]
    points = [np.array([[0.0, 0.0, -half_length - radius]])]
    for height, slope in zip(heights, slopes, strict=True):
        flat = ring * np.cos(slope)
        points.append(np.column_stack([radius * flat, np.full(sides, height)]))
        normals.append(np.column_stack([flat, np.full(sides, np.sin(slope))]))
    points.append(np.array([[0.0, 0.0, half_length + radius]]))
    normals.append(np.array([[0.0, 0.0, 1.0]]))
    lines = [f"v {x:.9f} {y:.9f} {z:.9f}" for x, y, z in np.concatenate(points)]
    lines += [f"vn {x:.6f} {y:.6f} {z:.6f}" for x, y, z in np.concatenate(normals)]
    # The format requires a texture coordinate; all vertices share one.
    lines.append("vt 0 0")
    last = len(heights) * sides + 2
    for i in range(sides):
        j = (i + 1) % sides
        triangles = [(1, 2 + j, 2 + i), (last, last - sides + i, last - sides + j)]
        for row in range(len(heights) - 1):
            a, b = 2 + row * sides + i, 2 + row * sides + j
            triangles += [(a, b, b + sides), (a, b + sides, a + sides)]
        lines += ["f " + " ".join(f"{k}/1/{k}" for k in triangle) for triangle in triangles]
    return "\n".join(lines) + "\n"


def _lies_on(tag: Tag, normal: Array) -> bool:
    """Whether a tag is glued to the face with this normal, up to a small tilt."""
    out = rotations.rotate(tag.quaternion, np.array([0.0, 0.0, 1.0]))
    return float(out @ normal) > 0.95


def _face_image(
    flat: Array, frame: Array, tags: list[Tag], color: tuple[int, int, int], cell: int
) -> Image:
    """One face, BGR, (cell, cell, 3): coloured rim, white field, tags.

    Args:
        flat: corners of the face, right and up [m], (n, 2).
        frame: right, up and out of the face, (3, 3).
        tags: the tags on this face.
        color: of the rim, RGB.
        cell: size of the image [px].
    """
    image = np.empty((cell, cell, 3), dtype=np.uint8)
    image[:] = color[::-1]
    inward = flat * (1 - RIM / np.linalg.norm(flat, axis=1).min())
    field = np.round(to_cell(inward, cell)).astype(np.int32)
    cv2.fillConvexPoly(image, field.reshape(-1, 1, 2), (255, 255, 255))
    for tag in tags:
        _draw_tag(image, tag.id, to_cell(tag.corners @ frame[:, :2], cell))
    blurred = cv2.GaussianBlur(image, (0, 0), PRINT_BLUR * PIXELS_PER_METRE)
    return np.asarray(blurred, dtype=np.uint8)


def _glue(image: Image, tags: list[Tag], frame: Array, cell: int) -> None:
    """Draws tags on a painted face, each on white paper as wide as one module more."""
    for tag in tags:
        middle = tag.corners.mean(axis=0)
        paper = to_cell((middle + (1 + 2 / MODULES) * (tag.corners - middle)) @ frame[:, :2], cell)
        outline = np.round(paper).astype(np.int32)
        cv2.fillConvexPoly(image, outline.reshape(-1, 1, 2), (255, 255, 255))
        _draw_tag(image, tag.id, to_cell(tag.corners @ frame[:, :2], cell))


def _draw_tag(image: Image, tag_id: int, corners: Array) -> None:
    """Draws a tag into a picture, (height, width, 3), its corners at these pixels, (4, 2)."""
    height, width = image.shape[:2]
    x, y = (np.arange(-0.5 + 0.5 / SAMPLES, edge - 0.5, 1 / SAMPLES) for edge in (width, height))
    places = np.stack(np.meshgrid(x, y), axis=-1) - corners[0]
    edges = np.stack([corners[1] - corners[0], corners[3] - corners[0]], axis=-1)
    module = np.floor(places @ np.linalg.inv(edges).T * MODULES).astype(np.intp)
    inside = ((module >= 0) & (module < MODULES)).all(axis=-1)
    column, row = np.clip(module, 0, MODULES - 1).transpose(2, 0, 1)
    printed = np.where(inside, tag_image(tag_id, 1)[row, column], 0)
    covered, white = (
        part.reshape(height, SAMPLES, width, SAMPLES).mean(axis=(1, 3))[..., None]
        for part in (inside, printed)
    )
    image[:] = np.round(image * (1 - covered) + white)
