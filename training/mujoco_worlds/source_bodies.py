"""Bodies of a compiled model: their names in the hand file, and the origins of their links."""

import mujoco
import numpy as np

from inhand.hardware.records import Array

ROOT, MOUNT = "base", "mount"


def body_name(model: mujoco.MjModel, body: int) -> str:
    """Name of a body; one without a name gets one by its number."""
    if body == 0:
        return free_name(model, MOUNT)
    return str(model.body(body).name or f"body{body}")


def free_name(model: mujoco.MjModel, name: str) -> str:
    """The name, or one like it if a body of the model has it."""
    taken = {model.body(body).name for body in range(1, model.nbody)}
    while name in taken:
        name = f"{name}_of_hand"
    return name


def anchor(model: mujoco.MjModel, body: int) -> Array:
    """Where a body's joint is, body frame [m], (3,): the origin of its link's frame."""
    if not model.body_jntnum[body]:
        return np.zeros(3)
    place: Array = model.jnt_pos[model.body_jntadr[body]].copy()
    return place
