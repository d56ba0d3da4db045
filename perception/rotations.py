"""Unit quaternions and rotation matrices, batched over leading axes.

Quaternions are wxyz and unit everywhere. `exp` and `log` map between rotation vectors and
quaternions (Solà, "Quaternion kinematics for the error-state Kalman filter", sections 2-4).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

IDENTITY: Array = np.array([1.0, 0.0, 0.0, 0.0])
IDENTITY.setflags(write=False)


def normalize(quaternion: Array) -> Array:
    """Scales to unit length; (..., 4) wxyz."""
    norm: Array = np.sqrt(np.einsum("...i,...i->...", quaternion, quaternion))
    scaled: Array = quaternion / norm[..., None]
    return scaled


def multiply(left: Array, right: Array) -> Array:
    """Hamilton product: the rotation `right` followed by `left`; (..., 4) wxyz."""
    if left.ndim == right.ndim == 1:
        # Plain floats: for a single pair, a call of numpy costs more than the arithmetic.
        return np.array(product(left.tolist(), right.tolist()))
    a, b, c, d = left[..., 0], left[..., 1], left[..., 2], left[..., 3]
    w, x, y, z = right[..., 0], right[..., 1], right[..., 2], right[..., 3]
    return np.stack(
        [
            a * w - b * x - c * y - d * z,
            a * x + b * w + c * z - d * y,
            a * y - b * z + c * w + d * x,
            a * z + b * y - c * x + d * w,
        ],
        axis=-1,
    )


def product(left: Sequence[float], right: Sequence[float]) -> tuple[float, float, float, float]:
    """Hamilton product of two quaternions as plain floats, wxyz."""
    a, b, c, d = left
    w, x, y, z = right
    return (
        a * w - b * x - c * y - d * z,
        a * x + b * w + c * z - d * y,
        a * y - b * z + c * w + d * x,
        a * z + b * y - c * x + d * w,
    )


def conjugate(quaternion: Array) -> Array:
    """The inverse rotation; (..., 4) wxyz."""
    result = -np.asarray(quaternion, dtype=np.float64)
    result[..., 0] *= -1.0
    return result


def rotate(quaternion: Array, vector: Array) -> Array:
    """Rotates vectors; (..., 4) wxyz and (..., 3) to (..., 3)."""
    # By components: np.cross takes several times as long for a few vectors.
    w, a, b, c = (quaternion[..., i] for i in range(4))
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    u, v, t = 2.0 * (b * z - c * y), 2.0 * (c * x - a * z), 2.0 * (a * y - b * x)
    return np.stack(
        [x + w * u + (b * t - c * v), y + w * v + (c * u - a * t), z + w * t + (a * v - b * u)],
        axis=-1,
    )


def cross(left: Array, right: Array) -> Array:
    """Cross products; (..., 3) each."""
    a, b, c = left[..., 0], left[..., 1], left[..., 2]
    x, y, z = right[..., 0], right[..., 1], right[..., 2]
    return np.stack([b * z - c * y, c * x - a * z, a * y - b * x], axis=-1)


def to_matrix(quaternion: Array) -> Array:
    """Rotation matrices, (..., 3, 3), from wxyz quaternions, (..., 4)."""
    if quaternion.ndim == 1:
        w, x, y, z = quaternion.tolist()
        return np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
    w, x, y, z = (quaternion[..., i] for i in range(4))
    matrix = np.empty((*quaternion.shape[:-1], 3, 3))
    matrix[..., 0, 0] = 1 - 2 * (y * y + z * z)
    matrix[..., 0, 1] = 2 * (x * y - w * z)
    matrix[..., 0, 2] = 2 * (x * z + w * y)
    matrix[..., 1, 0] = 2 * (x * y + w * z)
    matrix[..., 1, 1] = 1 - 2 * (x * x + z * z)
    matrix[..., 1, 2] = 2 * (y * z - w * x)
    matrix[..., 2, 0] = 2 * (x * z - w * y)
    matrix[..., 2, 1] = 2 * (y * z + w * x)
    matrix[..., 2, 2] = 1 - 2 * (x * x + y * y)
    return matrix


def from_matrix(matrix: Array) -> Array:
    """Quaternions wxyz, (..., 4), from rotation matrices, (..., 3, 3).

    Takes the largest of the four components first, so that no division is by a small number
    (Shepperd, "Quaternion from rotation matrix", 1978). The result has w ≥ 0.
    """
    m = np.asarray(matrix, dtype=np.float64)
    if m.ndim == 2:
        return _from_single(m)
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    # Row k of the outer product 4 q qᵀ; the row with the largest diagonal is best conditioned.
    outer = np.empty((*m.shape[:-2], 4, 4))
    outer[..., 0, 0] = 1 + trace
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        outer[..., i + 1, i + 1] = 1 - trace + 2 * m[..., i, i]
        outer[..., 0, i + 1] = outer[..., i + 1, 0] = m[..., k, j] - m[..., j, k]
        outer[..., j + 1, k + 1] = outer[..., k + 1, j + 1] = m[..., j, k] + m[..., k, j]
    best = np.argmax(np.diagonal(outer, axis1=-2, axis2=-1), axis=-1)
    row = np.take_along_axis(outer, best[..., None, None], axis=-2)[..., 0, :]
    quaternion = normalize(row)
    return np.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def _from_single(matrix: Array) -> Array:
    """The quaternion, wxyz, (4,), of one rotation matrix, (3, 3), in plain floats."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = matrix.tolist()
    trace = xx + yy + zz
    rows = (
        (1 + trace, zy - yz, xz - zx, yx - xy),
        (zy - yz, 1 - trace + 2 * xx, yx + xy, xz + zx),
        (xz - zx, yx + xy, 1 - trace + 2 * yy, zy + yz),
        (yx - xy, xz + zx, zy + yz, 1 - trace + 2 * zz),
    )
    best = max(range(4), key=lambda k: rows[k][k])
    quaternion = normalize(np.array(rows[best]))
    return -quaternion if quaternion[0] < 0 else quaternion


def exp(rotation_vector: Array) -> Array:
    """Quaternions wxyz, (..., 4), of rotation vectors [rad], (..., 3)."""
    vector = np.asarray(rotation_vector, dtype=np.float64)
    angle = np.sqrt(np.einsum("...i,...i->...", vector, vector))
    # sin(θ/2)/θ; numpy's sinc(x) is sin(πx)/(πx)
    scale = 0.5 * np.sinc(angle / (2 * np.pi))
    return np.concatenate([np.cos(angle / 2)[..., None], scale[..., None] * vector], axis=-1)


def log(quaternion: Array) -> Array:
    """Shortest rotation vectors [rad], (..., 3), of wxyz quaternions, (..., 4)."""
    positive = np.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    sine = np.sqrt(np.einsum("...i,...i->...", positive[..., 1:], positive[..., 1:]))
    angle = 2 * np.arctan2(sine, positive[..., 0])
    scale = np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 2.0)
    vector: Array = scale[..., None] * positive[..., 1:]
    return vector


def angle_between(one: Array, other: Array) -> Array:
    """Angle of the rotation from one orientation to the other [rad], (...)."""
    dot = np.abs(np.einsum("...i,...i->...", one, other))
    angle: Array = 2 * np.arccos(np.minimum(dot, 1.0))
    return angle


def random_quaternion(rng: np.random.Generator, shape: tuple[int, ...] = ()) -> Array:
    """Orientations uniform over SO(3), (*shape, 4) wxyz: normalized Gaussian 4-vectors."""
    return normalize(rng.standard_normal((*shape, 4)))
