"""Functions of `inhand.perception.rotations` for tensors, wherever they are.

Quaternions are wxyz. A test compares each function with the one of the same name.
"""

import torch
from torch import Tensor


def normalize(quaternion: Tensor) -> Tensor:
    """Scales to unit length; (..., 4) wxyz."""
    return quaternion / quaternion.square().sum(-1, keepdim=True).sqrt()


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """Hamilton product: the rotation `right` followed by `left`; (..., 4) wxyz."""
    a, b, c, d = left.unbind(-1)
    w, x, y, z = right.unbind(-1)
    return torch.stack(
        [
            a * w - b * x - c * y - d * z,
            a * x + b * w + c * z - d * y,
            a * y - b * z + c * w + d * x,
            a * z + b * y - c * x + d * w,
        ],
        -1,
    )


def conjugate(quaternion: Tensor) -> Tensor:
    """The inverse rotation; (..., 4) wxyz."""
    return torch.cat([quaternion[..., :1], -quaternion[..., 1:]], -1)


def rotate(quaternion: Tensor, vector: Tensor) -> Tensor:
    """Rotates vectors; (..., 4) wxyz and (..., 3) to (..., 3)."""
    axis = quaternion[..., 1:]
    twice = 2.0 * torch.linalg.cross(axis, vector)
    turned: Tensor = vector + quaternion[..., :1] * twice + torch.linalg.cross(axis, twice)
    return turned


def to_matrix(quaternion: Tensor) -> Tensor:
    """Rotation matrices, (..., 3, 3), from wxyz quaternions, (..., 4)."""
    w, x, y, z = quaternion.unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, -1).reshape(*quaternion.shape[:-1], 3, 3)


def exp(rotation_vector: Tensor) -> Tensor:
    """Quaternions wxyz, (..., 4), of rotation vectors [rad], (..., 3)."""
    angle = rotation_vector.square().sum(-1, keepdim=True).sqrt()
    # sin(θ/2)/θ; torch's sinc(x) is sin(πx)/(πx)
    scale = 0.5 * torch.sinc(angle / (2 * torch.pi))
    return torch.cat([torch.cos(angle / 2), scale * rotation_vector], -1)


def log(quaternion: Tensor) -> Tensor:
    """Shortest rotation vectors [rad], (..., 3), of wxyz quaternions, (..., 4)."""
    positive = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    real, vector = positive[..., :1], positive[..., 1:]
    sine = vector.square().sum(-1, keepdim=True).sqrt()
    angle = 2 * torch.atan2(sine, real)
    return torch.where(sine > 1e-9, angle / sine.clamp(min=1e-9), 2.0) * vector


def angle_between(one: Tensor, other: Tensor) -> Tensor:
    """Angle of the rotation from one orientation to the other [rad], (...).

    By the arctangent: in single precision, the arccosine of numpy's function would have an error of
    1e-3 rad near zero.
    """
    return log(multiply(one, conjugate(other))).square().sum(-1).sqrt()
