"""PDF files as a printer makes them: opened, rendered at 600 dpi, detected and measured."""

import re
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pypdfium2
import pytest
from PIL import Image as Pictures

from benchmarks.peers import april_robotics_detector
from inhand.controller.cli.print_verbs import PrintPlate, PrintTag
from inhand.perception import rotations
from inhand.perception.calibration.plate import Plate
from inhand.perception.errors import ObjectError, PerceptionError
from inhand.perception.objects import ObjectDescription, load_object, parse_object
from inhand.perception.printing.net import net
from inhand.perception.printing.object_sheet import object_pages
from inhand.perception.printing.page import RULER, Paper, pdf
from inhand.perception.printing.plate_sheet import plate_page, plate_picture
from inhand.perception.printing.tag_sheet import tag_pages
from inhand.perception.rotations import Array
from inhand.perception.tags import MODULES, Image

DPI = 600
DOT = 25.4 / DPI
"""Distance of two pixels [mm]."""

PEER = april_robotics_detector(4.0)

BOX = b"""
name = "brick"
schema = 2
shape = "box"
size = [0.03, 0.05, 0.04]
mass = 0.1
friction = 1.0
symmetry = "none"
"""


def with_tags(head: bytes, *tags: str) -> ObjectDescription:
    tables = "".join(f"[[tags]]\n{tag}\n" for tag in tags)
    return parse_object(head + tables.encode(), "brick.toml")


BRICK = with_tags(
    BOX,
    'id = 30\nsize = 0.02\nface = "+x"',
    'id = 31\nsize = 0.016\nface = "-x"\noffset = [0.004, -0.003]\nturn = 0.3',
    'id = 32\nsize = 0.02\nface = "+y"',
    'id = 33\nsize = 0.02\nface = "-y"\nturn = 1.5708',
    'id = 34\nsize = 0.02\nface = "+z"\noffset = [0.0, 0.01]',
    'id = 35\nsize = 0.01\nface = "-z"',
    'id = 36\nsize = 0.01\nface = "-z"\noffset = [0.0, -0.016]',
)


def printed(data: bytes, page: int = 0, dpi: int = DPI) -> Image:
    """A page as a printer prints it."""
    with pypdfium2.PdfDocument(data) as document:
        picture = document[page].render(scale=dpi / 72, grayscale=True).to_numpy()
    return np.array(picture[..., 0] if picture.ndim == 3 else picture, dtype=np.uint8)


def tags_of(image: Image) -> dict[int, Array]:
    """Corners by AprilRobotics' detector, from the page's lower left corner [mm], (4, 2)."""
    found = {}
    for one in PEER.detect(image):
        corners = np.asarray(one.corners[::-1] - 0.5, dtype=np.float32)
        reach = int(0.3 * np.linalg.norm(corners[1] - corners[0]) / MODULES)
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-3)
        fine = cv2.cornerSubPix(image, corners[:, None].copy(), (reach, reach), (-1, -1), criteria)
        pixels = np.asarray(fine, dtype=np.float64).reshape(4, 2) + 0.5
        found[one.tag_id] = DOT * np.column_stack([pixels[:, 0], len(image) - pixels[:, 1]])
    return found


@pytest.mark.parametrize("paper", ["a4", "letter"])
@pytest.mark.parametrize("description", [load_object("block"), load_object("prism"), BRICK])
def test_the_net_of_an_object_has_its_tags_where_they_fold_to_their_places(
    description: ObjectDescription, paper: Paper
) -> None:
    pages = object_pages(description, paper)
    assert len(pages) == 1
    found = tags_of(printed(pdf(pages, "net")))
    assert sorted(found) == sorted(tag.id for tag in description.tags)
    for tag in description.tags:
        edges = np.linalg.norm(found[tag.id] - np.roll(found[tag.id], 1, axis=0), axis=1)
        np.testing.assert_allclose(edges, 1000 * tag.size, atol=0.1)
    # Fold what was printed, and compare it with the object.
    unfolded = net(description)
    drawn = {
        tag.id: next(
            face.flat(tag.corners)
            for face in unfolded.faces
            if tag.rotation[:, 2] @ face.normal > 0.99
        )
        for tag in description.tags
    }
    shift = np.mean([found[tag] - drawn[tag] for tag in found], axis=(0, 1))
    for tag in description.tags:
        np.testing.assert_allclose(found[tag.id] - shift, drawn[tag.id], atol=0.1)


@pytest.mark.parametrize("name", ["block", "prism"])
def test_paper_that_is_folded_along_the_lines_is_the_object(name: str) -> None:
    """Folds the net with rotations about its fold lines alone, from one side outwards."""
    description = load_object(name)
    unfolded = net(description)
    flat = [np.column_stack([face.outline, np.zeros(len(face.outline))]) for face in unfolded.faces]
    angle = 2 * np.pi / sum(abs(face.normal[2]) < 0.5 for face in unfolded.faces)
    solid: dict[int, Array] = {0: flat[0]}
    motion: dict[int, tuple[Array, Array]] = {0: (np.eye(3), np.zeros(3))}
    while len(solid) < len(flat):
        for known, other in np.ndindex(len(flat), len(flat)):
            if known not in solid or other in solid:
                continue
            shared = [p for p in flat[known] if (np.abs(flat[other] - p).max(axis=1) < 1e-6).any()]
            if len(shared) != 2:
                continue
            upright = any(abs(unfolded.faces[k].normal[2]) > 0.5 for k in (known, other))
            axis = (shared[1] - shared[0]) / np.linalg.norm(shared[1] - shared[0])
            # The print stays outside: each face turns away from the reader.
            outward = flat[other].mean(axis=0) - shared[0]
            sign = -np.sign(np.cross(axis, outward)[2])
            turn = rotations.to_matrix(
                rotations.exp(sign * (np.pi / 2 if upright else angle) * axis)
            )
            about, place = motion[known]
            motion[other] = (about @ turn, about @ (shared[0] - turn @ shared[0]) + place)
            solid[other] = flat[other] @ motion[other][0].T + motion[other][1]
    # One rigid motion brings all corners of the folded net onto the object's.
    points = np.concatenate([solid[k] for k in range(len(flat))]) / 1000
    expected = np.concatenate(
        [face.anchor + (face.outline - face.place) / 1000 @ face.axes for face in unfolded.faces]
    )
    centred, wanted = points - points.mean(axis=0), expected - expected.mean(axis=0)
    u, _, v = np.linalg.svd(wanted.T @ centred)
    rotation = u @ np.diag([1.0, 1.0, np.linalg.det(u @ v)]) @ v
    np.testing.assert_allclose(centred @ rotation.T, wanted, atol=1e-9)
    distances = np.linalg.norm(expected[:, None] - description.vertices, axis=-1)
    assert distances.min(axis=1).max() < 1e-9 and distances.min(axis=0).max() < 1e-9


def test_faces_are_printed_one_by_one_if_the_net_is_larger_than_the_paper() -> None:
    block = load_object("block")
    pages = object_pages(block, "a5")
    assert len(pages) == 2
    data = pdf(pages, "faces")
    found = {**tags_of(printed(data, 0)), **tags_of(printed(data, 1))}
    assert sorted(found) == [0, 1, 2, 3, 4, 5]
    for corners in found.values():
        edges = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
        np.testing.assert_allclose(edges, 40.0, atol=0.1)


def test_the_ruler_is_100_mm_long_and_viewers_are_told_not_to_scale() -> None:
    data = pdf(object_pages(load_object("block"), "a4"), "ruler")
    assert re.search(rb"/PrintScaling\s*/None", data)
    with pypdfium2.PdfDocument(data) as document:
        text = document[0].get_textpage().get_text_range()
        width, height = document[0].get_size()
    assert "Print at 100 %" in text and "tag 0: 40 mm" in text and "+z" in text
    np.testing.assert_allclose(np.array([width, height]) * 25.4 / 72, [297, 210], atol=0.01)
    image = printed(data)
    # The lowest row that is dark over most of 100 mm is the ruler's.
    rows = np.flatnonzero((image < 128).sum(axis=1) > 0.9 * RULER / DOT)
    columns = np.flatnonzero(image[rows[-1]] < 128)
    assert (columns[-1] - columns[0] + 1) * DOT == pytest.approx(100.0, abs=0.2)


def check_plate(image: Image, dot: float, plate: Plate) -> None:
    """All inner corners, each a square from its neighbours."""
    points, pixels = plate.find(image)
    assert len(points) == (plate.columns - 1) * (plate.rows - 1)
    spans = dot * (pixels - pixels[0])
    np.testing.assert_allclose(spans, 1000 * (points - points[0])[:, :2], atol=0.1)


def test_the_plate_is_printed_in_true_size() -> None:
    check_plate(printed(pdf([plate_page(Plate(), "a4")], "plate")), DOT, Plate())
    large = Plate(columns=12, rows=8, square=0.03, marker=0.022)
    check_plate(printed(pdf([plate_page(large, "a3")], "plate")), DOT, large)


@pytest.mark.parametrize(
    "plate",
    [
        Plate(columns=5, rows=4, square=0.03, marker=0.022, kind="aprilgrid"),
        Plate(columns=8, rows=6, kind="chessboard"),
        Plate(columns=9, rows=6, dictionary="4X4_50", layout="legacy"),
    ],
)
def test_other_kinds_of_plates_are_printed_in_true_size(plate: Plate) -> None:
    dpi = 200  # The search for chessboards is slow in large pictures.
    points, pixels = plate.find(printed(pdf([plate_page(plate, "a4")], "plate"), dpi=dpi))
    assert len(points) == plate.corners
    spans = 25.4 / dpi * np.linalg.norm(pixels - pixels[0], axis=1)
    truth = 1000 * np.linalg.norm(points - points[0], axis=1)
    np.testing.assert_allclose(spans, truth, atol=0.1)


@pytest.mark.parametrize("dpi", [150, 600])
def test_the_plate_as_a_picture_states_its_resolution(dpi: int) -> None:
    data = plate_picture(Plate(), "letter", dpi)
    picture = Pictures.open(BytesIO(data))
    assert picture.info["dpi"] == pytest.approx((dpi, dpi), rel=0.01)
    dot = 25.4 / float(picture.info["dpi"][0])
    np.testing.assert_allclose(np.array(picture.size) * dot, [215.9, 279.4], atol=0.2)
    check_plate(np.array(picture), dot, Plate())


def test_single_tags_fill_as_many_pages_as_they_need() -> None:
    ids = (*range(20), 586)
    pages = tag_pages(ids, 0.04, "a4")
    data = pdf(pages, "tags")
    found = {}
    for k in range(len(pages)):
        found.update(tags_of(printed(data, k)))
    assert tuple(sorted(found)) == ids
    for corners in found.values():
        edges = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
        np.testing.assert_allclose(edges, 40.0, atol=0.1)


def test_what_does_not_fit_is_refused_with_the_papers_on_which_it_does() -> None:
    with pytest.raises(PerceptionError, match="300 × 210 mm.*a4.*fits: a3, tabloid"):
        plate_page(Plate(square=0.03, marker=0.022), "a4")
    with pytest.raises(PerceptionError, match="does not suit"):
        plate_picture(Plate(), "a4", 20)
    with pytest.raises(PerceptionError, match="0 to 586"):
        tag_pages([3, 587], 0.04, "a4")
    with pytest.raises(PerceptionError, match="--size 0.04"):
        tag_pages([3], 40.0, "a4")
    with pytest.raises(PerceptionError, match="tag 3 is 375 × 375 mm.*fits: none"):
        tag_pages([3], 0.3, "a4")


def test_a_tag_that_reaches_over_its_face_is_refused() -> None:
    tag = 'id = 3\nsize = 0.02\nface = "+x"\noffset = [0.02, 0.0]'
    with pytest.raises(ObjectError, match=r"tags \[3\] reach over the edges"):
        object_pages(with_tags(BOX, tag), "a4")
    block = load_object("block")
    large = replace(block, tags=tuple(replace(tag, size=0.06) for tag in block.tags))
    with pytest.raises(ObjectError, match="reach over"):
        object_pages(large, "a4")


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "inhand.controller.cli.main", "print", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_the_command_writes_the_file_and_says_to_measure_it(tmp_path: Path) -> None:
    done = run("object", "block", "--pdf", "my-block.pdf", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "wrote my-block.pdf: 1 page" in done.stdout and "100 mm" in done.stdout
    assert sorted(tags_of(printed((tmp_path / "my-block.pdf").read_bytes()))) == list(range(6))
    refused = run("plate", "--paper", "a5", folder=tmp_path)
    assert refused.returncode == 1 and "does not fit on a5" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["my-block.pdf"]


def test_no_file_is_lost_by_printing(tmp_path: Path) -> None:
    mine = tmp_path / "tags.pdf"
    mine.write_bytes(b"a drawing of mine")
    for _ in range(2):
        PrintTag((3,), pdf=mine).run()
    assert (tmp_path / "tags.pdf.1").read_bytes() == b"a drawing of mine"
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(PerceptionError, match=r"tags\.png: its name must end in \.pdf"):
        PrintTag((3,), pdf=tmp_path / "tags.png").run()
    with pytest.raises(PerceptionError, match=r"plate\.pdf: its name must end in \.png"):
        PrintPlate(png=tmp_path / "plate.pdf", dpi=150).run()
    assert len(list(tmp_path.iterdir())) == 2
