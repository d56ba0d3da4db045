"""Every calibration file gives back what was written; rotations are those of another library."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from inhand.perception import rotations
from inhand.perception.calibration.camera_info import Intrinsics, load_intrinsics, save_intrinsics
from inhand.perception.calibration.tag_placement import save_object
from inhand.perception.lens import lens_problem
from inhand.perception.objects import load_object
from inhand.perception.records import frozen_array

NUMBER = st.floats(-1.0, 10.0)
VECTOR = st.tuples(*[st.floats(-3.0, 3.0)] * 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("round-trips")


@given(
    st.integers(1, 9000),
    st.integers(1, 9000),
    st.tuples(st.floats(0.5, 50.0), st.floats(0.5, 2.0), *[st.floats(0.01, 0.99)] * 2),
    st.sampled_from([5, 8, 12, 14]).flatmap(lambda count: st.tuples(*[NUMBER] * count)),
)
@settings(deadline=None)
def test_a_lens_survives_its_file(
    folder: Path,
    width: int,
    height: int,
    lens: tuple[float, ...],
    distortion: tuple[float, ...],
) -> None:
    focal, ratio, across, down = lens
    fx = focal * max(width, height)
    fy = ratio * fx
    assume(fy <= 100 * max(width, height))
    matrix = frozen_array([[fx, 0, across * width], [0, fy, down * height], [0, 0, 1]])
    written = Intrinsics(width, height, matrix, frozen_array(distortion))
    assume(not lens_problem(width, height, written.lens))
    save_intrinsics(folder / "lens.yaml", "left", written)
    again = load_intrinsics(folder / "lens.yaml")
    assert (again.width, again.height) == (width, height)
    np.testing.assert_array_equal(again.matrix, matrix)
    np.testing.assert_array_equal(again.distortion, distortion)


@given(st.sampled_from(["block", "prism"]), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_an_object_with_moved_tags_survives_its_file(folder: Path, name: str, seed: int) -> None:
    rng, drawn = np.random.default_rng(seed), load_object(name)
    tags = []
    for tag in drawn.tags:
        shift = np.append(rng.uniform(-2e-3, 2e-3, 2), 0.0)
        turn = rotations.exp(np.array([0.0, 0.0, rng.uniform(-0.5, 0.5)]))
        tags.append(
            replace(
                tag,
                position=tag.position + rotations.rotate(tag.quaternion, shift),
                quaternion=rotations.multiply(tag.quaternion, turn),
            )
        )
    save_object(folder / "mine.toml", replace(drawn, tags=tuple(tags)))
    again = load_object(folder / "mine.toml")
    assert (again.size, again.mass, again.friction) == (drawn.size, drawn.mass, drawn.friction)
    np.testing.assert_array_equal(again.symmetry, drawn.symmetry)
    for found, tag in zip(again.tags, tags, strict=True):
        assert (found.id, found.size) == (tag.id, tag.size)
        np.testing.assert_allclose(found.position, tag.position, atol=1e-12)
        assert rotations.angle_between(found.quaternion, tag.quaternion) < 1e-7


def scipys(quaternion: np.ndarray) -> Rotation:
    return Rotation.from_quat(quaternion, scalar_first=True)


@given(VECTOR, VECTOR, VECTOR)
@settings(deadline=None)
def test_rotations_are_those_of_scipy(
    one: tuple[float, ...], other: tuple[float, ...], point: tuple[float, ...]
) -> None:
    vector = np.array(one)
    left, right = rotations.exp(vector), rotations.exp(np.array(other))
    theirs = Rotation.from_rotvec(vector)
    np.testing.assert_allclose(rotations.to_matrix(left), theirs.as_matrix(), atol=1e-12)
    product = rotations.multiply(left, right)
    np.testing.assert_allclose(
        rotations.to_matrix(product), (theirs * Rotation.from_rotvec(other)).as_matrix(), atol=1e-12
    )
    np.testing.assert_allclose(
        rotations.rotate(left, np.array(point)), theirs.apply(point), atol=1e-11
    )
    magnitude = (theirs.inv() * scipys(right)).magnitude()
    np.testing.assert_allclose(rotations.angle_between(left, right), magnitude, atol=1e-7)
