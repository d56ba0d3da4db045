"""Policies that rsl_rl's own exporter wrote run like torch runs them, with and without memory."""

import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime as ort
import pytest
from scipy.spatial.transform import Rotation

from inhand.controller.policy.runtime import load_policy
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.foreign.wrap import wrap
from tests.training.foreign.by_hand import Run

torch = pytest.importorskip("torch")
pytest.importorskip("rsl_rl")

LEAP, BLOCK = load_hand("leap"), load_object("block")
STEPS, SAME = 100, 1e-5
ORDER = list(reversed(LEAP.actuator_names[2:]))
SIGNS = np.where(np.arange(14) % 3 == 0, -1.0, 1.0)
OFFSETS = np.linspace(-0.1, 0.1, 14)
FIXED = {"if_mcp": 0.3, "if_rot": 0.0}
WORLD = Rotation.from_euler("xyz", [0.3, -0.5, 2.0])
OBJECT = Rotation.from_euler("xyz", [-1.0, 0.2, 0.4])


def quaternion(turn: Rotation) -> list[float]:
    return [float(x) for x in turn.as_quat(scalar_first=True)]


MAP = f"""\
hand = "leap"
object = "block"
rate = RATE

[joints]
order = {ORDER}
signs = {SIGNS.tolist()}
offsets = {OFFSETS.tolist()}
fixed = {{ if_mcp = 0.3, if_rot = 0.0 }}

[frame]
world = {quaternion(WORLD)}
object = {quaternion(OBJECT)}

[history]
order = "newest_first"
fill = "zeros"

[[observation]]
name = "positions"
source = "joint_position"
normalized = true
history = 3

[[observation]]
name = "joint_velocity"
scale = 0.2
clip = 1.0

[[observation]]
name = "object_from_palm"
offset = [0.1, 0.2, 0.3]

[[observation]]
name = "object_orientation"

[[observation]]
name = "object_velocity"

[[observation]]
name = "object_angular_velocity"

[[observation]]
name = "goal_difference"
source = "rotation_to_go"
inverse = true
select = [1, 2, 3, 0]

[[observation]]
name = "touch"
source = "constant"
value = [0.5, -0.5]

[[observation]]
name = "last_action"

[normalization]
mean = 0.1
deviation = 0.9
epsilon = 0.01
clip = 5.0

[action]
kind = "range"
clip = 1.0
smoothing = 0.6
"""
SIZE = 3 * 14 + 14 + 3 + 4 + 3 + 3 + 4 + 2 + 14


def model(kind: str) -> "torch.nn.Module":
    from rsl_rl.models import MLPModel, RNNModel
    from tensordict import TensorDict

    torch.manual_seed(7)
    observations = TensorDict({"policy": torch.zeros(1, SIZE)}, batch_size=1)
    settings = {
        "hidden_dims": [48, 32],
        "obs_normalization": True,
        "distribution_cfg": {"class_name": "GaussianDistribution"},
    }
    given = observations, {"actor": ["policy"]}, "actor", 14
    if kind == "lstm":
        return RNNModel(*given, rnn_type="lstm", rnn_hidden_dim=24, rnn_num_layers=2, **settings)
    return MLPModel(*given, **settings)


@pytest.fixture(scope="module", params=["feed-forward", "lstm"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which rsl_rl's runner exported a policy, with its weights in another file."""
    from rsl_rl.runners import OnPolicyRunner

    folder = tmp_path_factory.mktemp("rsl_rl")
    made = model(request.param)
    runner = SimpleNamespace(alg=SimpleNamespace(get_policy=lambda: made))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        OnPolicyRunner.export_policy_to_onnx(runner, str(folder))
    assert (folder / "policy.onnx.data").exists()
    return folder


def stepper(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Runs the exported file as it is, with its states carried."""
    session = ort.InferenceSession(str(path))
    ports = {node.name: node for node in session.get_inputs()}
    states = {n: np.zeros(p.shape, np.float32) for n, p in ports.items() if n != "obs"}

    def step(observation: np.ndarray) -> np.ndarray:
        found = session.run(None, {"obs": observation[None].astype(np.float32), **states})
        named = dict(zip([o.name for o in session.get_outputs()], found, strict=True))
        for name in states:
            states[name] = named[name.replace("_in", "_out")]
        return named["actions"][0].astype(np.float64)

    return step


@pytest.mark.parametrize("rate", [20, 30])
def test_it_equals_the_exported_file_run_by_hand(exported: Path, rate: int, tmp_path: Path) -> None:
    map_file, mine = tmp_path / "map.toml", tmp_path / "mine.onnx"
    map_file.write_text(MAP.replace("RATE", str(rate)))
    made = wrap(exported / "policy.onnx", map_file)
    mine.write_bytes(made.content)
    policy = load_policy(mine, LEAP, BLOCK, allowed=None)
    assert policy.observation_version == 3
    assert policy.path.policy_rate == (20 if rate == 20 else 100)
    per_step = 100 / rate if rate == 30 else 1
    columns = [LEAP.actuator_names.index(name) for name in ORDER]
    ends = SIGNS * LEAP.lower[columns] + OFFSETS, SIGNS * LEAP.upper[columns] + OFFSETS
    lower, upper = np.minimum(*ends), np.maximum(*ends)
    run, step = Run.random(LEAP, BLOCK, STEPS), stepper(exported / "policy.onnx")
    targets, last, frames = run.joints[0], np.zeros(14), [np.zeros(14)] * 3
    before, acted = None, 0
    for tick in range(STEPS):
        action = policy.act(run.observation(tick, targets, 3))
        if tick >= acted * per_step - 1e-6:
            acted += 1
            position = SIGNS * run.joints[tick][columns] + OFFSETS
            place = run.place[tick] - np.array(LEAP.workspace.center)
            if before is None:
                before = position, place
            frames = [2 * (position - lower) / (upper - lower) - 1, *frames[:2]]
            turn = WORLD * run.turn[tick] * OBJECT
            to_go = WORLD * run.to_goal_inverse(tick) * WORLD.inv()
            theirs = np.concatenate(
                [
                    *frames,
                    np.clip(0.2 * (position - before[0]) * rate, -1, 1),
                    WORLD.apply(place) + [0.1, 0.2, 0.3],
                    turn.as_quat(canonical=True, scalar_first=True),
                    WORLD.apply(place - before[1]) * rate,
                    WORLD.apply(run.spin[tick]),
                    to_go.as_quat(canonical=True),
                    [0.5, -0.5],
                    last,
                ]
            )
            before = position, place
            last = np.clip(step(np.clip((theirs - 0.1) / 0.91, -5, 5)), -1, 1)
            wanted = np.array([FIXED.get(name, 0.0) for name in LEAP.actuator_names])
            wanted[columns] = SIGNS * (lower + (last + 1) / 2 * (upper - lower) - OFFSETS)
            targets = 0.6 * wanted + 0.4 * targets
        assert np.abs(policy.path.target(action) - targets).max() <= SAME, tick
    assert np.ptp(targets) > 0.3
