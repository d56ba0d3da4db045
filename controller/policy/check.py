"""Checks a policy file, and says all that is wrong with it at once."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inhand.controller.errors import PolicyError
from inhand.controller.policy.metadata import PolicyMetadata
from inhand.controller.policy.observation import observe, version_of
from inhand.controller.policy.onnx_session import open_session, read_policy
from inhand.controller.policy.runtime import (
    Policy,
    mismatches,
    read_metadata,
    replay,
    shape_problems,
)
from inhand.errors import InhandError
from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.model.kinematics import fingertip_positions
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription, load_object

_STEPS = 100


@dataclass
class Checked:
    """What was found.

    Attributes:
        path: the file.
        faults: all that is wrong, each one sentence that says what to do.
        facts: what it is, by name.
    """

    path: Path
    faults: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)

    def note(self, fault: str) -> None:
        """Adds a fault, without what names the file."""
        for name in (self.path, self.path.name):
            fault = fault.removeprefix(f"policy {name}: ")
        if fault not in self.faults:
            self.faults.append(fault)


def check_policy(path: Path, hand: str = "", target: str = "") -> Checked:
    """Checks everything that the daemon checks before it loads a policy, and runs it.

    Args:
        path: the ONNX file.
        hand: name or file of the hand; empty takes the name in the file.
        target: name or file of the object; empty takes the name in the file.
    """
    checked = Checked(path)
    try:
        content = read_policy(path)
        checked.facts["sha256"] = hashlib.sha256(content).hexdigest()
        session = open_session(path, content)
    except PolicyError as error:
        checked.note(str(error))
        return checked
    checked.facts["inputs"] = {node.name: node.shape for node in session.get_inputs()}
    checked.facts["outputs"] = {node.name: node.shape for node in session.get_outputs()}
    try:
        metadata = read_metadata(path, session)
    except PolicyError as error:
        checked.note(str(error))
        _check_batch(checked, session)
        return checked
    checked.facts |= {
        "hand": metadata.hand,
        "object": metadata.object,
        "rate": metadata.policy_rate,
        "tick_rate": metadata.action.tick_rate,
        "trained_in": metadata.engine,
    }
    described = _described(checked, metadata, hand, target)
    if described is not None:
        _check_content(checked, session, metadata, *described)
    return checked


def _check_batch(checked: Checked, session: ort.InferenceSession) -> None:
    for node in session.get_inputs():
        if not all(isinstance(size, int) for size in node.shape):
            checked.note(
                f"input {node.name} leaves sizes open: {node.shape}; `inhand policy wrap` makes an "
                "open batch 1, other sizes have to be fixed when it is exported"
            )


def _described(
    checked: Checked, metadata: PolicyMetadata, hand: str, target: str
) -> tuple[Hand, ObjectDescription] | None:
    """The hand and the object; None if there is one that cannot be read."""
    found_hand = found_object = None
    try:
        found_hand = load_hand(hand or metadata.hand)
    except InhandError as error:
        checked.note(f"its hand cannot be read: {error}; name its file with --hand")
    try:
        found_object = load_object(target or metadata.object)
    except InhandError as error:
        checked.note(f"its object cannot be read: {error}; name its file with --object")
    return None if found_hand is None or found_object is None else (found_hand, found_object)


def _check_content(
    checked: Checked,
    session: ort.InferenceSession,
    metadata: PolicyMetadata,
    hand: Hand,
    target: ObjectDescription,
) -> None:
    layout = [(part.name, part.size, part.unit) for part in metadata.observation]
    version = version_of(hand, layout)
    shapes = list(shape_problems(session, hand, metadata))
    for problem in [*mismatches(metadata, hand, target), *shapes]:
        checked.note(problem)
    rate = metadata.policy_rate
    runs = (
        rate >= 1 and metadata.action.tick_rate % rate == 0 and 0 < metadata.action.smoothing <= 1
    )
    if shapes or version is None or not runs:
        return
    sha256 = str(checked.facts["sha256"])
    policy = Policy(checked.path.name, sha256, metadata, hand, session)
    checked.facts["differences"] = policy.differences
    try:
        replay(policy)
        checked.facts["golden_steps"] = len(metadata.golden.observations)
    except (PolicyError, ValueError) as error:
        checked.note(f"{error}; export it again")
    try:
        policy.reset()
        for row in plausible_observations(hand, target, version, _STEPS):
            policy.act(row)
        checked.facts["step_ms"] = round(1e3 * policy.latency.summary()["p50"], 4)
    except PolicyError as error:
        checked.note(
            f"{error}; look for divisions by zero in its normalization, and export it again"
        )


def plausible_observations(
    hand: Hand, target: ObjectDescription, version: int, steps: int
) -> NDArray[np.float32]:
    """Observations as the daemon makes them, of joints and an object that move a little.

    Args:
        hand: the hand.
        target: the object.
        version: of the layout.
        steps: how many.

    Returns:
        (steps, observation_size); the same each time.
    """
    rng = np.random.default_rng(0)
    walk = np.cumsum(0.1 * rng.standard_normal((steps, hand.n_actuators)), axis=0)
    span = hand.upper - hand.lower
    joints = np.clip(hand.rest + span * np.sin(walk) / 4, hand.lower, hand.upper)
    sent = np.clip(joints + 0.05 * rng.standard_normal(joints.shape), hand.lower, hand.upper)
    turn = np.cumsum(0.1 * rng.standard_normal((steps, 3)), axis=0)
    start, goal = rotations.random_quaternion(rng, (2,))
    return observe(
        hand,
        target,
        joint_position=joints,
        sent_target=sent,
        fingertips=fingertip_positions(hand, joints),
        object_position=np.array(hand.workspace.center) + 0.005 * np.sin(turn),
        object_quaternion=rotations.multiply(rotations.exp(turn), start),
        goal_quaternion=np.tile(goal, (steps, 1)),
        pose_age=np.full(steps, 0.05),
        object_angular_velocity=2.0 * rng.standard_normal((steps, 3)),
        goal_tolerance=np.full(steps, 0.4),
        version=version,
    )
