"""Source model of an import, URDF or MJCF, compiled by MuJoCo; what is not supported is refused."""

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np

from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand_rules import MOST_JOINTS
from inhand.training.mujoco_worlds.source_structure import urdf_problems

LARGEST_REACH = 2.0
"""A hand that reaches further from its base is in other units than metres [m]."""
HEAVIEST = 10.0
"""A link that weighs more is in other units than kilograms [kg]."""
SUFFIXES = (".urdf", ".xml", ".mjcf")
_MESHES = (".stl", ".obj", ".msh")
_PLACE = (
    "put the file where the model names it, or correct the path",
    "put the folder of that ROS package beside the model, or above it",
)


def read_model(path: Path, notes: list[str] | None = None) -> mujoco.MjModel:
    """Compiles a model file.

    Args:
        path: of the model.
        notes: gets what was changed so that it is a hand.

    Raises:
        DescriptionError: the file cannot be compiled, or the model is no hand of hinges.
    """
    found: list[str] = [] if notes is None else notes
    if path.suffix.lower() not in SUFFIXES:
        raise DescriptionError(f"{path}: give a URDF (.urdf) or MJCF (.xml) file")
    try:
        for problem in urdf_problems(path):
            raise DescriptionError(f"{path}: {problem}")
        spec, files = _read(path)
        spec.compiler.fusestatic = False
        _fix_base(spec, found)
        _refuse_kinds(spec, path)
        _find_meshes(spec, path, files, found)
        _mend_inertia(spec, found)
        model = spec.compile()
        for body in spec.bodies:
            if not body.explicitinertial and model.body_mass[body.id] > 0:
                found.append(
                    "assumed: mass and inertia from shapes, as there is no <inertial>, of "
                    f"{body.name}"
                )
    except OSError as error:
        raise DescriptionError(f"{path}: {error.strerror}; give another path") from None
    except ValueError as error:
        words = " ".join(str(error).split())
        raise DescriptionError(f"{path}: {words}{_advice(words)}") from None
    _refuse(model, path)
    return model


def _read(path: Path) -> tuple[mujoco.MjSpec, dict[str, str]]:
    """The model as it is in the file, with its drawings; its mesh files by their names in it."""
    root = ElementTree.parse(path).getroot()
    if root.tag != "robot":
        return mujoco.MjSpec.from_file(str(path)), {}
    files = _tell_meshes_apart(root)
    # MuJoCo's extension of URDF; without it, drawings are left out.
    extension = root.find("mujoco")
    extension = ElementTree.SubElement(root, "mujoco") if extension is None else extension
    compiler = extension.find("compiler")
    compiler = ElementTree.SubElement(extension, "compiler") if compiler is None else compiler
    compiler.set("discardvisual", "false")
    compiler.set("strippath", "false")
    return mujoco.MjSpec.from_string(ElementTree.tostring(root, encoding="unicode")), files


def _tell_meshes_apart(root: ElementTree.Element) -> dict[str, str]:
    """Gives each mesh file of a URDF a name of its own; returns the files by these names.

    MuJoCo takes two files of the same name for one mesh, even if they lie in different folders: the
    drawing of a link would be its collision shape.
    """
    names: dict[str, str] = {}
    stems: set[str] = set()
    for mesh in root.iter("mesh"):
        file = mesh.get("filename", "")
        if file not in names:
            path, stem, number = Path(file), Path(file).stem, 2
            while stem in stems:
                stem, number = f"{path.stem}-{number}", number + 1
            stems.add(stem)
            names[file] = f"{stem}{path.suffix}"
        mesh.set("filename", names[file])
    return {name: file for file, name in names.items()}


def _fix_base(spec: mujoco.MjSpec, notes: list[str]) -> None:
    """Fixes a hand that hovers: its base has a free joint, and hinges below."""
    for joint in list(spec.joints):
        is_free = joint.type == mujoco.mjtJoint.mjJNT_FREE
        below = joint.parent.find_all(mujoco.mjtObj.mjOBJ_JOINT)
        if is_free and len(below) > 1:
            _cut_keys(spec, joint)
            notes.append(f"left out: the free joint of {joint.parent.name}; the base is fixed")
            spec.delete(joint)


def _cut_keys(spec: mujoco.MjSpec, joint: mujoco.MjsJoint) -> None:
    """Takes the place of a free joint out of the poses that the model names."""
    sizes = {mujoco.mjtJoint.mjJNT_FREE: 7, mujoco.mjtJoint.mjJNT_BALL: 4}
    first = 0
    for other in spec.joints:
        if other == joint:
            break
        first += sizes.get(other.type, 1)
    for key in spec.keys:
        qpos = np.array(key.qpos)
        if len(qpos) > first + 6:
            key.qpos = np.delete(qpos, np.arange(first, first + 7))
        key.qvel = np.zeros(0)


def _find_meshes(
    spec: mujoco.MjSpec, path: Path, files: Mapping[str, str], notes: list[str]
) -> None:
    """Gives meshes the paths of their files, and leaves out drawings that cannot be read.

    A drawing is needed only where the mass of its body comes from it.

    Args:
        spec: the model.
        path: its file.
        files: mesh files as the model names them, by the names that `spec` has for them.
        notes: gets what is left out.
    """
    folder = path.absolute().parent
    unread: dict[str, str] = {}
    for mesh in spec.meshes:
        if not mesh.file:
            continue
        name = files.get(mesh.file, mesh.file)
        file = _file_of(name, folder, spec.meshdir)
        if file is None:
            unread[mesh.name] = f"no file {name}; {_PLACE[name.startswith('package:')]}"
        elif file.suffix.lower() not in _MESHES:
            unread[mesh.name] = f"{name} is not read; convert it to STL or OBJ"
        else:
            mesh.file = str(file)
    for geom in spec.geoms:
        if geom.type != mujoco.mjtGeom.mjGEOM_MESH or geom.meshname not in unread:
            continue
        has_mass = not geom.parent.explicitinertial and (geom.density > 0 or geom.mass > 0)
        if geom.contype or geom.conaffinity or has_mass:
            raise DescriptionError(f"{path}: link {geom.parent.name}: {unread[geom.meshname]}")
        reason = unread[geom.meshname].split(";")[0]
        notes.append(
            f"left out: drawings without a file of {geom.parent.name}"
            if reason.startswith("no file")
            else f"left out: the drawing of {geom.parent.name}: {reason}"
        )
        spec.delete(geom)
    used = {geom.meshname for geom in spec.geoms}
    for mesh in list(spec.meshes):
        if mesh.name not in used:
            spec.delete(mesh)


def _file_of(name: str, folder: Path, meshdir: str) -> Path | None:
    """The file of a mesh, also by a `package://` address of ROS; None if there is none."""
    is_package = name.startswith("package:")
    inner = Path(name.removeprefix("package:").lstrip("/"))
    for above in [folder / meshdir, folder, *folder.parents[:4]]:
        # A package's folder may have another name than the package.
        for rest in [inner, Path(*inner.parts[1:])] if is_package else [inner]:
            if (above / rest).is_file():
                return above / rest
    return Path(name) if Path(name).is_absolute() and Path(name).is_file() else None


def _mend_inertia(spec: mujoco.MjSpec, notes: list[str]) -> None:
    """Raises the smaller principal moments of bodies whose inertia no body can have."""
    for body in spec.bodies:
        full = np.array(body.fullinertia)
        if not body.explicitinertial or np.isnan(full[0]):
            continue
        xx, yy, zz, xy, xz, yz = full
        values, axes = np.linalg.eigh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        lack = values[2] - values[0] - values[1]
        if values[0] < 0 or lack <= 0:
            continue
        values[:2] += 0.5 * lack * (1 + 1e-6)
        mended = axes @ np.diag(values) @ axes.T
        body.fullinertia = [mended[at] for at in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]
        notes.append(
            "approximated: by raising two principal moments, the inertia, which no body can have, "
            f"of {body.name}"
        )


def _advice(words: str) -> str:
    """What to do about an error of MuJoCo's compiler."""
    for sign, advice in (
        ("mass and inertia", "give each moving link an <inertial> with mass and inertia"),
        ("Error opening file", _PLACE[0]),
        ("repeated name", "give each part a name of its own"),
        ("inertia must satisfy", "correct that <inertia>: no body can have it"),
        ("positive eigenvalues", "correct that <inertia>: no body can have it"),
        ("unrecognized attribute", "this MuJoCo does not have it: take it out of the file"),
        ("Unrecognized XML model type", "give the URDF or MJCF file of a hand"),
        ("empty file", "give the URDF or MJCF file of a hand"),
        ("decoder", "convert the mesh to STL or OBJ, and name that file in the model"),
        ("not found", "correct the name"),
        ("axis too small", "give the joint an axis with a direction"),
        ("must be positive", "give that shape a size"),
        ("coplanar", "use a box in place of that mesh"),
        ("too small", "correct the scale of that mesh, or leave it out"),
        ("already included", "leave that <include> out"),
    ):
        if sign in words:
            return f"; {advice}"
    return "; correct the file there"


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
    if not 1 <= model.njnt <= MOST_JOINTS:
        raise DescriptionError(
            f"{path}: the model has {model.njnt} joints, and a hand has 1 to {MOST_JOINTS}; "
            "give the file of one hand alone, without arm and objects"
        )
    for joint in np.flatnonzero(model.jnt_limited == 0):
        raise DescriptionError(
            f"{path}: joint {model.joint(joint).name} has no range; give it limits"
        )
    for number, (low, high) in enumerate(model.jnt_range):
        if high - low > 2 * np.pi:
            raise DescriptionError(
                f"{path}: joint {model.joint(number).name} has the range [{low:g}, {high:g}] rad, "
                "more than a turn; if these are degrees, convert them, or say so in <compiler>"
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
    _refuse_numbers(model, path)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    reach = float(np.abs(data.xpos[1:] - data.xpos[1]).max(initial=0.0))
    parts = model.geom_rbound[model.geom_bodyid > 0]
    if max(reach, float(parts.max(initial=0.0))) > LARGEST_REACH:
        raise DescriptionError(
            f"{path}: the hand reaches {reach:.3g} m from its base, and its largest shape "
            f"{parts.max(initial=0.0):.3g} m from its middle; lengths seem to be in millimetres, "
            "and must be in metres (meshes: scale 0.001)"
        )
    for body in np.flatnonzero((model.body_mass > HEAVIEST) & (np.arange(model.nbody) > 0)):
        raise DescriptionError(
            f"{path}: link {model.body(body).name} weighs {model.body_mass[body]:g} kg, more than "
            "a whole hand; if these are grams, give kilograms"
        )


def _refuse_numbers(model: mujoco.MjModel, path: Path) -> None:
    """Refuses what is no number, and lengths of which MuJoCo makes none."""
    for name in ("body_pos", "body_quat", "body_ipos", "body_inertia", "body_mass"):
        values = getattr(model, name).reshape(model.nbody, -1)
        for body in np.flatnonzero(~np.isfinite(values).all(axis=1)):
            raise DescriptionError(
                f"{path}: body {model.body(body).name}: {name.removeprefix('body_')} is no "
                "number; correct it"
            )
