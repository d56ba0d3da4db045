"""`inhand policy wrap`: makes a policy file from an ONNX file that was made elsewhere."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import onnxruntime as ort
import tyro
from numpy.typing import NDArray
from onnx import helper

from inhand.controller.errors import PolicyError
from inhand.controller.policy.check import plausible_observations
from inhand.controller.policy.metadata import (
    METADATA_KEY,
    ActionMapping,
    GoldenVector,
    ObservationPart,
    PolicyMetadata,
)
from inhand.controller.policy.observation import observation_layout
from inhand.controller.policy.onnx_session import MAX_SIZE
from inhand.controller.policy.runtime import parse_policy
from inhand.files import write_whole
from inhand.hardware.model.hand import Hand, load_hand
from inhand.perception.objects import load_object
from inhand.result import print_json
from inhand.training.foreign.adapter import Adapted, adapt
from inhand.training.foreign.foreign_network import ForeignNetwork, read_network
from inhand.training.foreign.policy_map import PolicyMap, load_map

GOLDEN_STEPS = 10
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Wrapped:
    """A policy file that was made.

    Attributes:
        content: of the file.
        network: what was wrapped.
        adapted: its adapter.
        given: the policy map.
        step: time of a step, median [s].
    """

    content: bytes
    network: ForeignNetwork
    adapted: Adapted
    given: PolicyMap
    step: float

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def wrap(foreign: Path, map_file: Path) -> Wrapped:
    """Makes a policy file, and loads it once as the daemon would.

    Args:
        foreign: the ONNX file.
        map_file: the policy map.

    Raises:
        InhandError: in one line: what is wrong, where, and what to do.
    """
    given, text = load_map(map_file)
    hand, target = load_hand(given.hand), load_object(given.object)
    network = read_network(foreign, given.network)
    try:
        adapted = adapt(given, network, hand)
    except PolicyError as error:
        raise PolicyError(f"policy map {map_file}: {error}") from error
    model = adapted.model
    # So the file says itself how it was made.
    model.doc_string = text
    observations = plausible_observations(hand, target, adapted.version, GOLDEN_STEPS)
    actions = run_file(foreign, model.SerializeToString(), observations)
    origin = f"wrapped from SHA-256 {hashlib.sha256(foreign.read_bytes()).hexdigest()}"
    metadata = PolicyMetadata(
        schema=1,
        policy_rate=adapted.policy_rate,
        hand=hand.name,
        hand_digest=hand.digest,
        hand_facts=dict(hand.facts),
        joints=hand.joint_names,
        actuators=hand.actuator_names,
        object=target.name,
        observation=_layout(hand, adapted.version),
        # The graph smooths targets itself.
        action=ActionMapping("around_rest", 1.0, given.tick_rate),
        quaternion_order="wxyz",
        engine=given.engine,
        randomization_scale=given.randomization_scale,
        commit=origin,
        golden=GoldenVector(observations.tolist(), actions.tolist(), TOLERANCE),
    )
    helper.set_model_props(model, {METADATA_KEY: msgspec.json.encode(metadata).decode()})
    content = model.SerializeToString()
    if len(content) > MAX_SIZE:
        raise PolicyError(
            f"policy {foreign}: the file would have {len(content)} bytes, the daemon loads at most "
            f"{MAX_SIZE}; train a smaller network"
        )
    policy = parse_policy(foreign, content, hand, target, allowed=None)
    for row in observations:
        policy.act(row)
    return Wrapped(content, network, adapted, given, policy.latency.summary()["p50"])


def run_file(
    foreign: Path, content: bytes, observations: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Actions of a wrapped policy over a sequence of the daemon's observations, (steps, n).

    Raises:
        PolicyError: ONNX Runtime cannot run it, or an action is not finite; it names `foreign`.
    """
    try:
        session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
        size = session.get_inputs()[1].shape[2]
        hidden = cell = np.zeros((1, 1, size), dtype=np.float32)
        actions = []
        for row in observations:
            action, hidden, cell = session.run(
                ["actions", "h_out", "c_out"], {"obs": row[None], "h_in": hidden, "c_in": cell}
            )
            actions.append(action[0])
    except Exception as error:  # ONNX Runtime's exceptions share no narrower base.
        words = " ".join(str(error).split())[:200]
        raise PolicyError(f"policy {foreign}: with its adapter it does not run: {words}") from error
    found = np.stack(actions)
    if bad := np.flatnonzero(~np.isfinite(found).all(axis=1)).tolist():
        raise PolicyError(
            f"policy {foreign}: step {bad[0]} of plausible observations gives actions that are not "
            "finite; look for divisions by zero in its normalization, and for weights that are not "
            "numbers"
        )
    return found


def _layout(hand: Hand, version: int) -> tuple[ObservationPart, ...]:
    return tuple(ObservationPart(*part) for part in observation_layout(hand, version))


@dataclass
class Arguments:
    """Make a policy file of an ONNX file that was made elsewhere.

    Example: inhand policy wrap foreign.onnx --map map.toml --out mine.onnx

    Attributes:
        foreign: The ONNX file.
        map: The policy map: what the network observes, and what its actions mean.
        out: The policy file to write.
        overwrite: Replace a file that is there.
        json: Print the result as JSON.
    """

    foreign: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOREIGN")]
    map: Path
    out: Path
    overwrite: bool = False
    json: bool = False


def main() -> int:
    """Entry point of `inhand policy wrap`."""
    given = tyro.cli(Arguments, prog="inhand policy wrap", config=(tyro.conf.FlagCreatePairsOff,))
    if given.out.suffix != ".onnx":
        raise PolicyError(f"--out {given.out}: name a file that ends in .onnx")
    if given.out.exists() and not given.overwrite:
        raise PolicyError(f"--out {given.out} exists; name another, or add --overwrite")
    made = wrap(given.foreign, given.map)
    write_whole(given.out, made.content)
    if given.json:
        print_json({"file": str(given.out), **_summary(made)})
    else:
        print(_report(given.out, made))
    return 0


def _summary(made: Wrapped) -> dict[str, object]:
    names = [part.name for part in made.given.observation]
    return {
        "sha256": made.sha256,
        "observation": dict(zip(names, made.adapted.sizes, strict=True)),
        "history": made.given.history.steps,
        "joints": made.adapted.joints.names,
        "action": made.given.action.kind,
        "rate": made.given.rate,
        "steps_per_second": made.adapted.policy_rate,
        "states": [entering.name for entering, _ in made.network.states],
        "notes": list(made.network.notes),
        "step_ms": round(1e3 * made.step, 4),
    }


def _report(out: Path, made: Wrapped) -> str:
    told = _summary(made)
    parts = ", ".join(f"{name} {size}" for name, size in told["observation"].items())  # type: ignore[attr-defined]
    port, steps = made.network.observation, made.given.history.steps
    states = ", ".join(entering.name for entering, _ in made.network.states) or "none"
    lines = [
        f"observation  {parts}; steps: {steps}; input {port.name} has {port.size}",
        f"states       {states}",
        f"action       {made.given.action.kind}, {len(made.adapted.joints.names)} joints",
        f"rate         {made.given.rate:g} Hz",
        f"one step     {told['step_ms']} ms",
        *(f"note         {note}" for note in made.network.notes),
        f"{out}: written and checked. To let the daemon load it, add to its configuration:",
        "",
        "[policy]",
        f'allow = ["{made.sha256}"]',
    ]
    return "\n".join(lines)
