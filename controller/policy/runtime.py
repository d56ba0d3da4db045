"""Runs a recurrent policy with ONNX Runtime, after checking that it was made for this hand.

The file is read once, so that the bytes that run are the bytes that were hashed and checked.
"""

import hashlib
from collections.abc import Container, Iterator
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inhand.controller.errors import PolicyError
from inhand.controller.policy.action import ActionPath
from inhand.controller.policy.metadata import METADATA_KEY, PolicyMetadata
from inhand.controller.policy.monitor import Monitor
from inhand.controller.policy.observation import observation_size, version_of
from inhand.controller.policy.onnx_session import one_line, open_session, read_policy
from inhand.controller.system.statistics import Histogram
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.hand_facts import Differences, differences, released_facts
from inhand.hardware.records import Array
from inhand.perception.objects import ObjectDescription

Memory = tuple[NDArray[np.float32], NDArray[np.float32]]


class Policy:
    """A checked policy and its recurrent state.

    Attributes:
        name: the file's name.
        sha256: of the file.
        metadata: of the file.
        path: from its actions to targets.
        observation_version: of the layout of its observations.
        world: what the last step estimates of its world: means, then the logarithms of standard
            deviations, (2 len(metadata.world),); None: no estimate.
        latency: time of each step [s].
        monitor: says when hand or object behave unlike anything in training; None without one.
        differences: what differs between the hand that it was trained with and this one, in words;
            the policy can run, but may be worse.
    """

    def __init__(
        self,
        name: str,
        sha256: str,
        metadata: PolicyMetadata,
        hand: Hand,
        session: ort.InferenceSession,
    ) -> None:
        """Called by `load_policy`, which checks everything first."""
        self.name = name
        self.sha256 = sha256
        self.metadata = metadata
        self.differences = _hand_differences(metadata, hand).simulated
        self.path = ActionPath(
            hand,
            policy_rate=metadata.policy_rate,
            tick_rate=metadata.action.tick_rate,
            smoothing=metadata.action.smoothing,
        )
        self.latency = Histogram()
        self.monitor: Monitor | None = None
        self._session = session
        self.observation_version = _version(metadata, hand) or 1
        self._outputs = ["actions", "h_out", "c_out", *(["world"] if metadata.world else [])]
        for problem in shape_problems(session, hand, metadata):
            raise PolicyError(f"policy {name}: {problem}")
        (state,) = (node.shape for node in session.get_inputs() if node.name == "h_in")
        self._state_shape: tuple[int, ...] = tuple(state)
        self.reset()

    def reset(self) -> None:
        """Sets the recurrent state to zero, and forgets what the monitor has measured."""
        if self.monitor is not None:
            self.monitor.reset()
        self.world: Array | None = None
        self._hidden = np.zeros(self._state_shape, dtype=np.float32)
        self._cell = np.zeros(self._state_shape, dtype=np.float32)

    @property
    def world_names(self) -> tuple[str, ...]:
        """Names of what `world` estimates."""
        return self.metadata.world

    @property
    def memory(self) -> Memory:
        """The recurrent state: hidden and cell, each as the file shapes it."""
        return self._hidden, self._cell

    @memory.setter
    def memory(self, state: Memory) -> None:
        self._hidden, self._cell = state

    def act(self, observation: NDArray[np.float32]) -> Array:
        """One step; the state is carried to the next.

        Args:
            observation: (n,), laid out as `metadata.observation`.

        Returns:
            Action, (n_actuators,).

        Raises:
            PolicyError: the runtime failed, or the result is not finite.
        """
        began = perf_counter()
        feed = {"obs": observation[None], "h_in": self._hidden, "c_in": self._cell}
        try:
            actions, hidden, cell, *world = self._session.run(self._outputs, feed)
        except Exception as error:  # ONNX Runtime's exceptions share no narrower base.
            raise PolicyError(f"policy {self.name}: a step failed: {one_line(error)}") from error
        if not (np.isfinite(actions).all() and np.isfinite(hidden).all()):
            raise PolicyError(f"policy {self.name}: a step gave numbers that are not finite")
        self._hidden, self._cell = hidden, cell
        self.world = np.asarray(world[0][0], dtype=np.float64) if world else None
        self.latency.add(perf_counter() - began)
        return np.asarray(actions[0], dtype=np.float64)


def load_policy(
    path: str | Path,
    hand: Hand,
    target: ObjectDescription,
    *,
    allowed: Container[str] | None,
) -> Policy:
    """Loads a policy, and checks it against the hand and the object.

    Args:
        path: the ONNX file.
        hand: the hand it is to move.
        target: the object it is to turn.
        allowed: SHA-256 of the files that may be loaded; None, for evaluation only, allows all.

    Raises:
        PolicyError: in one line: what does not fit, in which file, and what to do.
    """
    path = Path(path)
    return parse_policy(path, read_policy(path), hand, target, allowed=allowed)


def parse_policy(
    path: Path,
    model: bytes,
    hand: Hand,
    target: ObjectDescription,
    *,
    allowed: Container[str] | None,
) -> Policy:
    """Makes a policy of the content of a file; the rest is as for `load_policy`."""
    sha256 = hashlib.sha256(model).hexdigest()
    if allowed is not None and sha256 not in allowed:
        raise PolicyError(
            f"policy {path}: SHA-256 {sha256} is not on the allow-list; if you trust the file, "
            "add that to [policy] allow in the configuration"
        )
    session = open_session(path, model)
    metadata = read_metadata(path, session)
    for problem in mismatches(metadata, hand, target):
        raise PolicyError(f"policy {path}: {problem}")
    policy = Policy(path.name, sha256, metadata, hand, session)
    replay(policy)
    return policy


def read_metadata(path: Path, session: ort.InferenceSession) -> PolicyMetadata:
    """The metadata of a policy file; raises PolicyError if it has none, or others."""
    try:
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is not None:
            return msgspec.json.decode(text, type=PolicyMetadata)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"policy {path}: metadata {METADATA_KEY!r}: {error}") from error
    raise PolicyError(
        f"policy {path}: a foreign ONNX file, its metadata lack {METADATA_KEY!r}; make a "
        "policy of it with `inhand policy wrap` (docs/bring-your-policy.md)"
    )


def _hand_differences(metadata: PolicyMetadata, hand: Hand) -> Differences:
    """What differs between the hand that the policy was trained for and this one."""
    if metadata.hand_digest == hand.digest:
        return Differences((), ())
    facts = metadata.hand_facts or released_facts(metadata.hand_digest)
    if facts is None:
        versions = f"version {metadata.hand_digest[:12]} → {hand.digest[:12]}"
        return Differences((versions,), ())
    return differences(facts, hand.facts)


def mismatches(metadata: PolicyMetadata, hand: Hand, target: ObjectDescription) -> Iterator[str]:
    """Why the policy does not fit this hand and object; nothing if it does."""
    version = _version(metadata, hand)
    is_other = (metadata.joints, metadata.actuators) != (hand.joint_names, hand.actuator_names)
    # The same hand under another name is no other hand.
    is_other = is_other or bool(_hand_differences(metadata, hand).essential)
    if metadata.hand != hand.name and is_other:
        yield (
            f"made for hand {metadata.hand}, this is {hand.name}; train one for it, or start "
            'without any: [policy] file = ""'
        )
    if metadata.joints != hand.joint_names:
        found = _difference(metadata.joints, hand.joint_names)
        yield f"joints {found}; train or wrap one for this hand"
    if metadata.actuators != hand.actuator_names:
        found = _difference(metadata.actuators, hand.actuator_names)
        yield f"actuators {found}; train or wrap one for this hand"
    if essential := _hand_differences(metadata, hand).essential:
        listed = "; ".join(essential[:3]) + ("; and more" if len(essential) > 3 else "")
        yield (
            f"made for another version of hand {hand.name}: {listed}; give the hand file the "
            "value before each arrow again, or train a policy for this hand"
        )
    if metadata.object != target.name:
        yield (
            f"made for object {metadata.object}, this is {target.name}; set `object` in the "
            "configuration, or train one for this object"
        )
    if version is None:
        yield "its observation is laid out differently; train it anew"
    rate, ticks = metadata.policy_rate, metadata.action.tick_rate
    if rate < 1 or ticks < rate or ticks % rate:
        yield f"policy rate {rate} Hz does not divide tick rate {ticks} Hz; export it again"
    if not 0 < metadata.action.smoothing <= 1:
        yield f"smoothing {metadata.action.smoothing} is not in (0, 1]; export it again"
    golden = metadata.golden
    if not golden.observations or len(golden.observations) != len(golden.actions):
        yield "its golden vector is empty or uneven; export it again"
    if not 0 < golden.tolerance <= 1e-3:
        found = f"its golden vector's tolerance {golden.tolerance}"
        yield f"{found} is not in (0, 0.001]; export it again"
    sizes = {len(row) for row in golden.observations}, {len(row) for row in golden.actions}
    if version is not None and sizes != ({observation_size(hand, version)}, {hand.n_actuators}):
        yield "its golden vector has rows of the wrong length; export it again"


def _version(metadata: PolicyMetadata, hand: Hand) -> int | None:
    layout = [(part.name, part.size, part.unit) for part in metadata.observation]
    return version_of(hand, layout)


def _difference(policy: tuple[str, ...], hand: tuple[str, ...]) -> str:
    for number, (one, other) in enumerate(zip(policy, hand, strict=False)):
        if one != other:
            return f"differ: number {number} is {one} in the policy, {other} in the hand"
    return f"differ: the policy has {len(policy)}, the hand {len(hand)}"


def shape_problems(
    session: ort.InferenceSession, hand: Hand, metadata: PolicyMetadata
) -> Iterator[str]:
    """What is wrong with inputs and outputs; nothing if they are right."""
    inputs = {node.name: node for node in session.get_inputs()}
    outputs = {node.name: node for node in session.get_outputs()}
    state = inputs["h_in"].shape if "h_in" in inputs else []
    if len(state) != 3 or not all(isinstance(size, int) for size in state) or state[1] != 1:
        yield f"input h_in must be (layers, 1, hidden), is {state}; export it with a batch of 1"
        return
    expected = (
        {
            "obs": [1, observation_size(hand, _version(metadata, hand) or 1)],
            "h_in": state,
            "c_in": state,
        },
        {"actions": [1, hand.n_actuators], "h_out": state, "c_out": state},
    )
    if metadata.world:
        expected[1]["world"] = [1, 2 * len(metadata.world)]
    for nodes, wanted in zip((inputs, outputs), expected, strict=True):
        found = {key: node.shape for key, node in nodes.items()}
        if found != wanted:
            yield f"has {found}, this hand needs {wanted}; train or wrap one for it"
        if any(node.type != "tensor(float)" for node in nodes.values()):
            yield "inputs and outputs must be float32; export it with these"


def replay(policy: Policy) -> None:
    """Replays the golden vector; raises PolicyError if the actions differ."""
    golden = policy.metadata.golden
    policy.reset()
    for step, (observation, wanted) in enumerate(
        zip(golden.observations, golden.actions, strict=True)
    ):
        action = policy.act(np.array(observation, dtype=np.float32))
        error = float(np.max(np.abs(action - np.array(wanted))))
        if not error <= golden.tolerance:
            raise PolicyError(
                f"policy {policy.name}: step {step} of its golden vector is off by {error:.2g}, "
                f"more than {golden.tolerance:.2g}; the file or the runtime is damaged"
            )
    policy.reset()
    policy.latency = Histogram()
