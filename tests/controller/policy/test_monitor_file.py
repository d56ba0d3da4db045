"""The file of a monitor: read back as written, and refused in one sentence where it is no use."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from inhand.controller.errors import PolicyError
from inhand.controller.policy.monitor_file import load_monitor, monitor_beside, packed
from inhand.controller.policy.runtime import Policy
from inhand.controller.runtime.start_up import with_monitor
from inhand.hardware.model.hand import hand_file, load_hand, parse_hand
from tests.controller.bench_hand import HAND, learned
from tests.controller.policy.monitors import pull_model

MODEL = pull_model(HAND, 3, 0.1)


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return learned(tmp_path)


def refusal(path: Path, policy: Policy) -> str:
    with pytest.raises(PolicyError) as caught:
        load_monitor(path, policy, HAND)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_monitor_is_read_back_as_it_was_written(policy: Policy, tmp_path: Path) -> None:
    path = monitor_beside(tmp_path / policy.name)
    assert path.name == "tiny.monitor.npz"
    path.write_bytes(packed(MODEL, policy, HAND))
    monitor = load_monitor(path, policy, HAND)
    assert monitor.model.names == MODEL.names and monitor.model.servos == 1
    np.testing.assert_allclose(monitor.model.thresholds, MODEL.thresholds, rtol=1e-6)
    np.testing.assert_array_equal(monitor.model.directions, MODEL.directions)


def test_a_monitor_of_another_policy_is_refused(policy: Policy, tmp_path: Path) -> None:
    path = tmp_path / "monitor.npz"
    content = packed(MODEL, policy, HAND)
    path.write_bytes(content)
    policy.sha256 = "0" * 64
    assert "made for policy tiny.onnx with SHA-256" in refusal(path, policy)
    assert "inhand monitor train" in refusal(path, policy)


def test_a_monitor_of_another_hand_is_refused(policy: Policy, tmp_path: Path) -> None:
    text = hand_file("dactyl24").read_text().replace("gain = 1.0", "gain = 1.25", 1)
    other = parse_hand(text.encode(), "of the test")
    path = tmp_path / "monitor.npz"
    path.write_bytes(packed(MODEL, policy, load_hand("leap")))
    assert "made for hand leap, this is dactyl24" in refusal(path, policy)
    if other.digest != HAND.digest:
        path.write_bytes(packed(MODEL, policy, other))
        assert "made for another version of hand dactyl24" in refusal(path, policy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"thresholds": np.zeros(1)}, "cannot be computed"),
        ({"thresholds": np.ones(2)}, "thresholds is not of (1,) finite numbers"),
        ({"center": np.full_like(MODEL.center, np.nan)}, "center is not of"),
        ({"servos": 2}, "cannot be computed"),
    ],
)
def test_a_monitor_that_cannot_be_computed_is_refused(
    policy: Policy, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    path = tmp_path / "monitor.npz"
    path.write_bytes(packed(msgspec.structs.replace(MODEL, **change), policy, HAND))
    assert said in refusal(path, policy)


def test_what_is_no_monitor_is_refused(policy: Policy, tmp_path: Path) -> None:
    path, content = tmp_path / "monitor.npz", packed(MODEL, policy, HAND)
    for other in (b"", b"text", content[: len(content) // 2], policy_bytes(tmp_path)):
        path.write_bytes(other)
        assert "no monitor's file" in refusal(path, policy)
    assert "No such file" in refusal(tmp_path / "none.npz", policy)


def policy_bytes(directory: Path) -> bytes:
    return (directory / "tiny.onnx").read_bytes()


def test_the_daemon_takes_the_monitor_beside_the_policy_and_warns_of_a_wrong_one(
    policy: Policy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / policy.name
    assert with_monitor(policy, file, HAND).monitor is None and not caplog.text
    monitor_beside(file).write_bytes(packed(MODEL, policy, HAND))
    found = with_monitor(policy, file, HAND).monitor
    assert found is not None and found.model.names == MODEL.names
    shutil.copy(file, tmp_path / "other.onnx")
    stranger = learned(tmp_path, "other.onnx")
    stranger.sha256 = "1" * 64
    shutil.copy(monitor_beside(file), monitor_beside(tmp_path / "other.onnx"))
    assert with_monitor(stranger, tmp_path / "other.onnx", HAND).monitor is None
    assert "runs without a monitor" in caplog.text
