"""Camera model and rig files."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inhand.perception import rotations
from inhand.perception.cameras import Camera, CameraError, load_rig, look_at, save_rig
from inhand.perception.records import frozen_array
from inhand.sim_backend.rig import default_rig


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    number = st.floats(-2.0, 2.0)
    quaternion = np.array([draw(st.floats(0.1, 1.0)), *(draw(number) for _ in range(3))])
    width, height = draw(st.integers(2, 4000)), draw(st.integers(2, 4000))
    focal = max(width, height) * draw(st.floats(0.5, 20.0))
    return Camera(
        name=draw(st.text(min_size=1, max_size=12)),
        width=width,
        height=height,
        matrix=frozen_array(
            [
                [
                    focal,
                    draw(number),
                    draw(st.floats(0.01, 0.99)) * width,
                ],
                [0, focal * draw(st.floats(0.5, 2.0)), draw(st.floats(0.01, 0.99)) * height],
                [0, 0, 1],
            ]
        ),
        distortion=frozen_array([draw(st.floats(-0.05, 2.0)) for _ in range(5)]),
        position=frozen_array([draw(number) for _ in range(3)]),
        quaternion=frozen_array(rotations.normalize(quaternion)),
        position_sigma=draw(st.floats(0, 0.1)),
        rotation_sigma=draw(st.floats(0, 0.1)),
        focal_sigma=draw(st.floats(0, 0.1)),
        latency=draw(st.floats(-1, 1)),
    )


SCALARS = ("position_sigma", "rotation_sigma", "focal_sigma", "latency")


@given(cameras())
@example(replace(next(iter(default_rig().values())), name='del \x7f "quoted" \\ \n'))
def test_a_rig_survives_its_file(tmp_path_factory: pytest.TempPathFactory, camera: Camera) -> None:
    path = tmp_path_factory.mktemp("rig") / "rig.toml"
    save_rig(path, {camera.name: camera})
    loaded = load_rig(path)[camera.name]
    assert (loaded.name, loaded.width, loaded.height) == (
        camera.name,
        camera.width,
        camera.height,
    )
    for field in ("matrix", "distortion", "position", *SCALARS):
        np.testing.assert_array_equal(getattr(loaded, field), getattr(camera, field))
    np.testing.assert_allclose(loaded.quaternion, camera.quaternion, atol=1e-15)


def test_normalize_undoes_project_through_distortion(rig: dict[str, Camera]) -> None:
    camera = replace(rig["left"], distortion=frozen_array([-0.2, 0.1, 0.001, -0.002, 0.0]))
    points = np.array([0.0, 0.335, 0.05]) + np.random.default_rng(0).uniform(-0.05, 0.05, (50, 3))
    rays = camera.normalize(camera.project(points))
    matrix = rotations.to_matrix(camera.quaternion)
    local = (points - camera.position) @ matrix
    np.testing.assert_allclose(rays, local[:, :2] / local[:, 2:], atol=2e-6)


def test_look_at_puts_the_target_in_the_middle_and_up_up(
    rig: dict[str, Camera],
) -> None:
    position, target = np.array([0.3, 0.1, 0.4]), np.array([0.0, 0.335, 0.05])
    quaternion = look_at(position, target, np.array([0.0, 0.0, 1.0]))
    camera = replace(
        rig["left"],
        position=frozen_array(position),
        quaternion=frozen_array(quaternion),
    )
    middle, above = camera.project(np.array([target, target + [0.0, 0.0, 0.02]]))
    np.testing.assert_allclose(middle, [159.5, 119.5], atol=1e-9)
    assert above[1] < middle[1]
    assert abs(above[0] - middle[0]) < 1e-6


def test_every_camera_of_the_rig_has_the_object_in_view(rig: dict[str, Camera]) -> None:
    offsets = 0.06 * np.concatenate([np.eye(3), -np.eye(3)])
    for camera in rig.values():
        pixels = camera.project(np.array([0.0, 0.335, 0.055]) + offsets)
        assert (pixels > 20).all() and (pixels < [camera.width - 20, camera.height - 20]).all()


GOOD = """
schema = 1
[[cameras]]
name = "left"
width = 320
height = 240
matrix = [[400.0, 0.0, 160.0], [0.0, 400.0, 120.0], [0.0, 0.0, 1.0]]
distortion = [0.0, 0.0, 0.0, 0.0, 0.0]
position = [0.0, 0.0, 1.0]
quaternion = [1.0, 0.0, 0.0, 0.0]
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema = 1", "schema = 2", "schema"),
        ("width = 320", "", "width"),
        ("width = 320", "width = 320\nzoom = 2", "zoom"),
        ("width = 320", "width = -320", "positive"),
        ("[400.0, 0.0, 160.0]", "[-400.0, 0.0, 160.0]", "matrix must be"),
        ("[400.0, 0.0, 160.0]", "[400.0, 0.0, 1600.0]", "principal point"),
        ("quaternion = [1.0", "quaternion = [2.0", "unit length"),
        ("position = [0.0, 0.0, 1.0]", "position = [0.0, 0.0, nan]", "finite"),
        ("position = [0.0, 0.0, 1.0]", "position = [0.0, 1.0]", "position"),
        ("width = 320", "width = 320\nrotation_sigma = -0.1", "negative"),
        ("width = 320", "width = 320\nlatency = 30.0", "within 1.0 s of zero"),
        ("width = 320", "width = 320\nlatency = nan", "finite"),
        (GOOD, "schema = 1\ncameras = []", "no camera"),
        (GOOD, GOOD + GOOD.replace("schema = 1", ""), "share a name"),
        (GOOD, GOOD[:90], "rig.toml"),
    ],
)
def test_a_broken_rig_file_is_refused_with_the_reason(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "rig.toml"
    path.write_text(GOOD)
    load_rig(path)
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(CameraError, match=message):
        load_rig(path)


def test_a_missing_or_binary_rig_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="No such file"):
        load_rig(tmp_path / "none.toml")
    (tmp_path / "picture.toml").write_bytes(cv2.imencode(".png", np.zeros((4, 4)))[1].tobytes())
    with pytest.raises(CameraError, match="picture"):
        load_rig(tmp_path / "picture.toml")
