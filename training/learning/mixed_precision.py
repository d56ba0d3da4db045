"""Networks in bfloat16 where the processor multiplies it: about three times as fast as float32.

Weights, gradients, losses and the optimizer stay in float32.
"""

from functools import cache
from pathlib import Path

import torch

FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""Names of the instructions in `/proc/cpuinfo`."""


@cache
def multiplies_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor has instructions for products of bfloat16."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    return any(line.startswith("flags") and FLAGS & set(line.split()) for line in lines)


def mixed_precision(device: str, wanted: bool) -> torch.autocast:
    """A context in which networks compute in bfloat16, if the device is fast at that.

    Args:
        device: of the networks, as torch names it.
        wanted: whether to do so at all.
    """
    kind = device.split(":")[0]
    fast = multiplies_bfloat16() if kind == "cpu" else torch.cuda.is_bf16_supported()
    return torch.autocast(kind, torch.bfloat16, enabled=wanted and fast)
