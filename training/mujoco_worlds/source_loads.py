"""What the joints of a compiled model must carry: the weight of their own links."""

from collections.abc import Sequence

import mujoco
import numpy as np

from inhand.hardware.model.turning import rpy_matrix
from inhand.hardware.records import Array
from inhand.training.mujoco_worlds.source_couplings import Coupling, joint_name

POSES = 200


def joint_loads(
    model: mujoco.MjModel, turn: tuple[float, float, float], coupled: Sequence[Coupling]
) -> dict[str, float]:
    """Largest torque of the links' weight about each joint over random poses [N·m].

    Args:
        model: the compiled model.
        turn: roll, pitch, yaw of its base in the world [rad].
        coupled: couplings; what a following joint carries, its leading joint does.
    """
    data = mujoco.MjData(model)
    level = model.opt.gravity.copy()
    model.opt.gravity[:] = rpy_matrix(turn).T @ np.array([0.0, 0.0, -9.81])
    rng = np.random.default_rng(0)
    loads: list[Array] = []
    for _ in range(POSES):
        data.qpos[:] = rng.uniform(*model.jnt_range.T)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_comVel(model, data)
        load = np.zeros(model.nv)
        mujoco.mj_rne(model, data, 0, load)
        loads.append(load)
    model.opt.gravity[:] = level
    by_joint = {
        joint_name(model, joint): np.array(loads)[:, model.jnt_dofadr[joint]]
        for joint in range(model.njnt)
    }
    for coupling in coupled:
        following = coupling.ratio * by_joint[coupling.following]
        by_joint[coupling.leading] = by_joint[coupling.leading] + following
    return {joint: float(np.abs(load).max()) for joint, load in by_joint.items()}
