"""What the daemon does in a tick, beside the 10 ms that it has."""

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime as ort

from benchmarks.measure import Row, median_time, row, side_by_side
from controller.action import ActionPath
from controller.observation import observe
from controller.policy import load_policy
from hardware.hand import load_hand
from hardware.kinematics import fingertip_positions
from perception import rotations
from perception.objects import load_object
from tests.controller import tiny_policy

PERIOD = 10.0
"""Of the tick [ms]."""


def measure() -> list[Row]:
    """The parts of a tick, each as a share of the period, and the policy beside ONNX Runtime."""
    hand, block = load_hand("dactyl24"), load_object("block")
    path = ActionPath(hand)
    state = path.start(hand.rest)
    action = np.zeros(hand.n_actuators)
    tips = fingertip_positions(hand, hand.rest)
    parts = {
        "limits and interpolation": lambda: path.tick(state),
        "smoothing of an action": lambda: path.act(state, action),
        "fingertips": lambda: fingertip_positions(hand, hand.rest),
        "observation": lambda: observe(
            hand,
            block,
            joint_position=hand.rest,
            sent_target=hand.rest,
            fingertips=tips,
            object_position=np.zeros(3),
            object_quaternion=rotations.IDENTITY,
            goal_quaternion=rotations.IDENTITY,
            pose_age=np.zeros(()),
        ),
    }
    rows = [
        row(name, 1e3 * median_time(part, 2000), "ms", "tick's period", PERIOD, 0.1)
        for name, part in parts.items()
    ]
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "tiny.onnx"
        tiny_policy.write_policy(file, hand)
        policy = load_policy(file, hand, block, allowed=None)
        session = ort.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
        inputs = {one.name: np.zeros(one.shape, np.float32) for one in session.get_inputs()}
        ours, bare = side_by_side(
            lambda: policy.act(inputs["obs"][0]), lambda: session.run(None, inputs), calls=100
        )
    rows.append(row("policy step, tiny", 1e3 * ours, "ms", "bare session", 1e3 * bare, 2.0))
    return rows
