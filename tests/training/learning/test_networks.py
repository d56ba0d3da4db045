"""Changes of scale inside the networks leave what they compute the same."""

from pathlib import Path

import pytest
import torch

from inhand.training.learning.experience import scale_of
from inhand.training.learning.mixed_precision import mixed_precision, multiplies_bfloat16
from inhand.training.learning.networks import Network


def network() -> tuple[Network, torch.Tensor]:
    torch.manual_seed(1)
    made = Network(12, 4, 0.3)
    inputs = 2.0 * torch.randn(200, 12) + 1.0
    made.join_scale(scale_of(inputs[:100]))
    torch.nn.init.normal_(made.actor[-1].weight, std=0.1)
    torch.nn.init.normal_(made.critic[-1].weight, std=0.1)
    return made, inputs


def test_another_normalization_leaves_actions_and_values_the_same() -> None:
    made, inputs = network()
    before = made.act(inputs), made.value(made.normalize(inputs))
    made.renormalize(torch.linspace(-1.0, 1.0, 12), torch.linspace(4.0, 9.0, 12))
    torch.testing.assert_close(made.act(inputs), before[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(made.value(made.normalize(inputs)), before[1], rtol=1e-4, atol=1e-5)
    assert made.mean[0] == -1.0


def test_the_critic_follows_the_scale_of_returns_and_keeps_its_values() -> None:
    made, inputs = network()
    before = made.value(made.normalize(inputs))
    returns = 30.0 + 7.0 * torch.randn(5000)
    for _ in range(200):
        made.learn_returns(returns)
    torch.testing.assert_close(made.value(made.normalize(inputs)), before, rtol=1e-3, atol=1e-3)
    assert made.return_mean == pytest.approx(30.0, rel=0.02)
    assert made.return_deviation == pytest.approx(7.0, rel=0.05)


@pytest.mark.parametrize(
    ("flags", "fast"), [("flags : sse avx512_bf16 amd", True), ("flags : sse avx512f", False)]
)
def test_processors_are_told_apart(tmp_path: Path, flags: str, fast: bool) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor : 0\n{flags}\nbugs : avx512_bf16\n")
    assert multiplies_bfloat16(file) == fast
    assert not multiplies_bfloat16(tmp_path / "none")


def test_mixed_precision_computes_nearly_the_same_and_only_where_wanted() -> None:
    made, inputs = network()
    exact = made.act(inputs)
    with mixed_precision("cpu", wanted=False):
        torch.testing.assert_close(made.act(inputs), exact, rtol=0.0, atol=0.0)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = made.act(inputs).float()
    assert 0.0 < (rounded - exact).abs().max() < 0.05
