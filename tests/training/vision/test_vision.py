"""Pictures without tags, training that learns, export, refusal of files that do not fit."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inhand.controller.cli import main
from inhand.hardware.model.hand import load_hand
from inhand.perception import rotations
from inhand.perception.appearance import FaceMark
from inhand.perception.keypoints.network import NetworkError, VertexNetwork, shipped_network
from inhand.perception.objects import load_object
from inhand.perception.rotations import Array
from inhand.sim_backend.rig import default_rig
from inhand.training.vision.augment import augmented
from inhand.training.vision.crops import NOWHERE, Crops, load_crops, save_crops, size_of
from inhand.training.vision.export import difference, export, set_temperatures
from inhand.training.vision.fit import Fit, FitRecipe
from inhand.training.vision.measure import Measured, View
from inhand.training.vision.network import KeypointNetwork
from inhand.training.vision.sequences import measure_errors
from inhand.training.vision.software_renderer import RendererError
from inhand.training.vision.states import States
from inhand.training.vision.studio import PictureStudio, VisionError, worn

HAND, BLOCK = load_hand("dactyl24"), load_object("block")
LEFT = default_rig()["left"]
CENTER = np.array(HAND.workspace.object_start) + [0.0, 0.0, 0.05]


@pytest.fixture(scope="module")
def studio() -> Iterator[PictureStudio]:
    made = PictureStudio(HAND, BLOCK)
    try:
        made.__enter__()
    except RendererError as error:
        assert "libosmesa6" in str(error)  # noqa: PT017
        pytest.skip(str(error))
    yield made
    made.__exit__(None, None, None)


@pytest.mark.parametrize(("axis", "face"), [([0, 0, 0], "+z"), ([np.pi, 0, 0], "-z")])
def test_a_face_has_its_colour_where_the_camera_expects_it(
    studio: PictureStudio, axis: list[float], face: str
) -> None:
    quaternion = rotations.exp(np.array(axis, dtype=np.float64))
    studio.place(HAND.joint_angles(HAND.rest), CENTER, quaternion)
    camera = default_rig()["wrist"]
    image = studio.render(camera)
    # A place on the face, beside its letter.
    normal = rotations.rotate(quaternion, BLOCK.faces[face])
    corner = CENTER + 0.0275 * normal + [0.022, -0.022, 0.0]
    x, y = np.round(camera.project(corner[None])[0]).astype(int)
    seen, color = image[y, x].astype(float), np.array(BLOCK.appearance[face].color, dtype=float)
    closeness = seen @ color / (np.linalg.norm(seen) * np.linalg.norm(color))
    assert closeness > 0.97


def test_looks_differ_and_repeat(studio: PictureStudio) -> None:
    studio.place(HAND.joint_angles(HAND.rest), CENTER, rotations.IDENTITY)
    camera = default_rig()["left"]
    looks = []
    for seed in (1, 2, 1):
        studio.dress(np.random.default_rng(seed), CENTER)
        looks.append(studio.render(camera))
    assert np.array_equal(looks[0], looks[2])
    assert np.abs(looks[0].astype(int) - looks[1]).mean() > 5


def test_cameras_of_two_sizes_are_refused() -> None:
    rig = {**default_rig(), "large": default_rig(640, 480)["left"]}
    with pytest.raises(VisionError, match="320x240, 640x480"):
        size_of(rig)


def test_an_object_without_appearance_is_refused() -> None:
    with pytest.raises(VisionError, match=r"no \[appearance\]"):
        PictureStudio(HAND, load_object("prism"))


def squares(count: int) -> Crops:
    """Pictures that need no renderer: a bright square, whose corners are the vertices."""
    rng = np.random.default_rng(1)
    images = np.full((count, 96, 96, 3), 40, np.uint8)
    points = np.empty((count, 4, 2))
    for image, found in zip(images, points, strict=True):
        x, y = rng.integers(10, 50, 2)
        image[y : y + 36, x : x + 36] = (220, 180, 60)
        found[:] = (np.array([[0, 0], [36, 0], [0, 36], [36, 36]]) + [x, y]) / 48 - 1
        image[:] = worn(image, rng)
    return Crops(images, points, np.ones(count, dtype=np.bool_), (320, 240))


RECIPE = FitRecipe(steps=60, batch=12, width=16, rate=5e-3)


def test_training_learns_and_an_interrupted_one_is_the_same(tmp_path: Path) -> None:
    crops = squares(64)
    whole = Fit(crops, RECIPE)
    assert whole.run(every=20)
    losses = [value for _, value in whole.curve]
    assert losses[-1] < losses[0] - 1.0
    kept = tmp_path / "a.checkpoint"
    first = Fit(crops, RECIPE, kept)
    assert not first.run(until=0.0)
    second = Fit(crops, RECIPE, kept)
    second.run(every=20, until=np.inf)
    for one, other in zip(whole.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(VisionError, match="another recipe"):
        Fit(crops, replace(RECIPE, batch=8), kept)
    kept.write_bytes(kept.read_bytes()[:500])
    with pytest.raises(VisionError, match="damaged"):
        Fit(crops, RECIPE, kept)


def test_exported_network_is_equal_and_knows_its_object(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network, path = KeypointNetwork(8, 16).eval(), tmp_path / "eyes.onnx"
    export(network, BLOCK, path, (320, 240))
    assert difference(network, path.read_bytes()) < 1e-3
    seen = VertexNetwork(path, BLOCK).look([np.zeros((96, 96, 3), np.uint8)] * 2, LEFT)
    assert [one.points.shape for one in seen] == [(8, 2), (8, 2)]
    repainted = {**BLOCK.appearance, "+x": FaceMark((0, 0, 0))}
    with pytest.raises(NetworkError, match="another look"):
        VertexNetwork(path, replace(BLOCK, appearance=repainted))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(NetworkError, match="damaged"):
        VertexNetwork(path, BLOCK)
    with pytest.raises(NetworkError, match="no such file"):
        VertexNetwork(tmp_path / "none.onnx", BLOCK)


def test_each_camera_has_its_factor_and_others_the_largest(tmp_path: Path) -> None:
    torch.manual_seed(1)
    path, rig = tmp_path / "eyes.onnx", default_rig()
    export(KeypointNetwork(8, 16).eval(), BLOCK, path, (320, 240))
    before = path.read_bytes()
    set_temperatures(path, [(rig["left"], 0.5), (rig["wrist"], 2.0)])
    network, windows = VertexNetwork(path, BLOCK), [np.full((96, 96, 3), 90, np.uint8)]
    elsewhere = replace(rig["left"], position=rig["left"].position + [0.0, 0.0, 0.2])
    cameras = (rig["left"], rig["wrist"], rig["right"], elsewhere)
    assert [network.temperature(camera) for camera in cameras] == [0.5, 2.0, 2.0, 2.0]
    left, wrist = (network.look(windows, rig[name])[0] for name in ("left", "wrist"))
    np.testing.assert_allclose(4 * left.deviations, wrist.deviations)
    assert np.array_equal(left.points, wrist.points)
    # Files of before had one factor for all.
    path.write_bytes(before)
    assert VertexNetwork(path, BLOCK).temperature(rig["left"]) == 1.0


def test_a_factor_makes_a_camera_as_sure_as_it_is() -> None:
    rng = np.random.default_rng(1)
    apart = {"left": 4 * rng.chisquare(2, 4000), "right": rng.chisquare(2, 4000)}
    measured = Measured([View(np.zeros(6), 1.0, [], [], apart)])
    assert measured.camera_factor("left") == pytest.approx(2.0, rel=0.05)
    assert measured.camera_factor("right") == pytest.approx(1.0, rel=0.05)
    with pytest.raises(VisionError, match="'wrist' finds the object in no picture"):
        measured.camera_factor("wrist")


def test_errors_are_measured_in_sequences(studio: PictureStudio) -> None:
    """Also that a fall out of the picture is a picture without a pose."""
    network = VertexNetwork(shipped_network(BLOCK), BLOCK)
    shift = np.linspace(0.0, 0.004, 4)[:, None] * [1.0, 0.0, 0.0]
    places = np.array(HAND.workspace.center) + [*shift, [0.0, 0.0, 3.0]]
    turns = np.tile(rotations.exp(np.array([0.3, 0.2, 0.0])), (5, 1))
    states = States(np.tile(HAND.joint_angles(HAND.rest), (5, 1)), places, turns)
    found = measure_errors(network, HAND, BLOCK, default_rig(), [states], 1, "a test")
    assert found.sequence.tolist() == [0] * 5
    assert found.seen.tolist() == [True] * 4 + [False]
    assert np.linalg.norm(found.errors[:4, :3], axis=1).max() < 0.01
    assert (np.linalg.eigvalsh(found.covariances[:4]) > 0).all()
    assert not found.errors[4].any()


def in_pixels(points: Array) -> NDArray[np.int_]:
    """The first point of each window in its pixels, (n, 2)."""
    return np.round((points[:, 0] + 1) * 48 - 0.5).astype(int)


def test_a_changed_window_still_shows_its_vertices() -> None:
    rng = np.random.default_rng(2)
    images, points = np.zeros((40, 96, 96, 3), np.uint8), rng.uniform(-0.6, 0.6, (40, 1, 2))
    for image, (x, y) in zip(images, in_pixels(points), strict=True):
        image[y - 2 : y + 3, x - 2 : x + 3] = 255
    changed, moved, present = augmented(images, points, np.ones(40, dtype=np.bool_), rng)
    seen = 0
    for image, (x, y) in zip(changed, in_pixels(moved), strict=True):
        inside = 2 < x < 93 and 2 < y < 93
        seen += bool(inside and image[y - 2 : y + 3, x - 2 : x + 3].mean() > 100)
    # Some are covered, dark or blank.
    assert seen > 25
    assert np.abs(moved - points).max() > 0.1
    assert present.sum() >= 35


@pytest.mark.usefixtures("studio")
def test_another_object_and_what_is_in_front_are_drawn(studio: PictureStudio) -> None:
    """Geoms in their body's own frame would stay there."""
    studio.place(HAND.joint_angles(HAND.rest), CENTER + [0, 0, 5], rotations.IDENTITY)
    camera, rng = default_rig()["wrist"], np.random.default_rng(3)
    studio.swap(rng, NOWHERE, rotations.IDENTITY)
    empty = studio.render(camera).astype(int)
    x, y = np.round(camera.project(CENTER[None])[0]).astype(int)
    shares = []
    for _ in range(8):
        studio.swap(rng, CENTER, rotations.IDENTITY)
        changed = np.abs(studio.render(camera) - empty)[y - 15 : y + 15, x - 15 : x + 15]
        shares.append((changed.max(axis=-1) > 20).mean())
    studio.swap(rng, NOWHERE, rotations.IDENTITY)
    assert min(shares) > 0.5
    assert np.array_equal(studio.render(camera), empty)


def test_pictures_are_read_as_they_were_written(tmp_path: Path) -> None:
    crops, path = squares(3), tmp_path / "pictures.npz"
    save_crops(crops, path)
    again = load_crops(path)
    assert np.array_equal(again.images, crops.images)
    assert np.array_equal(again.points, crops.points)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(VisionError, match="inhand vision render"):
        load_crops(path)


def typed(monkeypatch: pytest.MonkeyPatch, *words: object) -> object:
    """Runs `inhand vision` as it is typed; gives its error, None if there is none."""
    monkeypatch.setattr(sys, "argv", ["inhand", "vision", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return ended.value.code or None


def test_the_verb_trains_what_pictures_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, network = tmp_path / "pictures.npz", tmp_path / "eyes.onnx"
    four = squares(8)
    save_crops(four, pictures)
    short = ("train", pictures, network, "--steps", 2, "--batch", 4, "--width", 16)
    short = (*short, "--checks", 0)
    assert "4 vertices; 'block' has 8" in str(typed(monkeypatch, *short))
    assert not network.exists()
    save_crops(replace(four, points=np.tile(four.points, (1, 2, 1))), pictures)
    assert typed(monkeypatch, *short) is None
    assert VertexNetwork(network, BLOCK).look([four.images[0]], LEFT)[0].points.shape == (8, 2)


@pytest.mark.slow
@pytest.mark.usefixtures("studio")
def test_the_verb_draws_states_of_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = tmp_path / "pictures.npz"
    few = ("--count", 12, "--trials", 1, "--jobs", 2)
    assert typed(monkeypatch, "render", pictures, *few) is None
    crops = load_crops(pictures)
    assert len(crops.images) == len(crops.points) == 12
    assert crops.points.shape[1:] == (8, 2)
