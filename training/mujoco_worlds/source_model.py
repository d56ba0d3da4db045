"""A hand model of others, URDF or MJCF, compiled by MuJoCo; what it cannot be is refused."""

from pathlib import Path

import mujoco
import numpy as np

from inhand.hardware.errors import DescriptionError

LARGEST_REACH = 2.0
"""A hand that reaches further from its base is in other units than metres [m]."""
MOST_JOINTS = 60


def read_model(path: Path) -> mujoco.MjModel:
    """Compiles a model file.

    Meshes that are only drawn are left out, so that their files need not be there.

    Raises:
        DescriptionError: the file cannot be compiled, or the model is no hand of hinges.
    """
    try:
        spec = mujoco.MjSpec.from_file(str(path))
        spec.compiler.fusestatic = False
        _refuse_kinds(spec, path)
        _leave_out_drawings(spec)
        model = spec.compile()
    except (ValueError, OSError) as error:
        words = " ".join(str(error).split())
        raise DescriptionError(f"{path}: {words}{_advice(words)}") from None
    _refuse(model, path)
    return model


def _leave_out_drawings(spec: mujoco.MjSpec) -> None:
    for body in spec.bodies:
        for geom in list(body.geoms):
            is_mesh = geom.type == mujoco.mjtGeom.mjGEOM_MESH
            is_drawing = geom.contype == 0 and geom.conaffinity == 0
            has_mass = not body.explicitinertial and (geom.density > 0 or geom.mass > 0)
            if is_mesh and is_drawing and not has_mass:
                spec.delete(geom)
    used = {geom.meshname for geom in spec.geoms}
    for mesh in list(spec.meshes):
        if mesh.name not in used:
            spec.delete(mesh)


def _advice(words: str) -> str:
    """What to do about an error of MuJoCo's compiler."""
    for sign, advice in (
        ("mass and inertia", "give each moving link an <inertial> with mass and inertia"),
        ("Error opening file", "put the file where the model names it, or correct the path"),
        ("repeated name", "give each part a name of its own"),
        ("inertia must satisfy", "correct that <inertia>: no body can have it"),
        ("not found", "correct the name"),
    ):
        if sign in words:
            return f"; {advice}"
    return ""


def _refuse_kinds(spec: mujoco.MjSpec, path: Path) -> None:
    """Refuses joints that are no hinges; the compiler's words about their ranges explain less."""
    for joint in spec.joints:
        if joint.type != mujoco.mjtJoint.mjJNT_HINGE:
            word = mujoco.mjtJoint(joint.type).name.removeprefix("mjJNT_").lower()
            hint = (
                "import the hand's own file, without a scene and objects"
                if word == "free"
                else "replace it by hinges, or fix it"
            )
            name = joint.name or f"of {joint.parent.name}"
            raise DescriptionError(f"{path}: joint {name} is a {word} joint; {hint}")


def _refuse(model: mujoco.MjModel, path: Path) -> None:
    for joint in np.flatnonzero(model.jnt_limited == 0):
        raise DescriptionError(
            f"{path}: joint {model.joint(joint).name} has no range; give it limits"
        )
    if not 1 <= model.njnt <= MOST_JOINTS:
        raise DescriptionError(
            f"{path}: the model has {model.njnt} joints, and a hand has 1 to {MOST_JOINTS}; is it "
            "the file of the hand alone?"
        )
    for body in np.flatnonzero(model.body_jntnum > 1):
        raise DescriptionError(
            f"{path}: body {model.body(body).name} has {model.body_jntnum[body]} joints; put each "
            "into a body of its own"
        )
    joints_only = np.isin(model.eq_type, (mujoco.mjtEq.mjEQ_JOINT, mujoco.mjtEq.mjEQ_TENDON))
    if not joints_only.all():
        loop = model.equality(int(np.flatnonzero(~joints_only)[0]))
        raise DescriptionError(
            f"{path}: constraint {loop.name or loop.id} closes a loop, and a hand is a tree; "
            "leave it out and couple the joints instead"
        )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    reach = float(np.abs(data.xpos[1:] - data.xpos[1]).max(initial=0.0))
    reach = max(reach, float(model.geom_rbound[model.geom_bodyid > 0].max(initial=0.0)))
    if reach > LARGEST_REACH:
        raise DescriptionError(
            f"{path}: the hand reaches {reach:.0f} m from its base; lengths seem to be in "
            "millimetres, and must be in metres"
        )
