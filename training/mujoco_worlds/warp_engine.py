"""Whether MuJoCo Warp can be used here, and on which device."""

import logging
from importlib import metadata
from typing import Any

import mujoco
import torch

from inhand.training.mujoco_worlds.physics import EngineError


def check_versions() -> None:
    """Compares the versions of MuJoCo and MuJoCo Warp.

    Raises:
        EngineError: their minor versions differ.
        ModuleNotFoundError: MuJoCo Warp is not installed.
    """
    try:
        warp = metadata.version("mujoco-warp")
        metadata.version("warp-lang")
    except metadata.PackageNotFoundError as error:
        raise ModuleNotFoundError("No module named 'mujoco_warp'", name="mujoco_warp") from error
    ours = mujoco.__version__
    minor = ".".join(ours.split(".")[:2])
    if ".".join(warp.split(".")[:2]) != minor:
        raise EngineError(
            f"engine warp: mujoco {ours} and mujoco-warp {warp} are of different minor versions; "
            f"install the one that fits with `pip install 'mujoco-warp=={minor}.*'`"
        )


def warp_device(device: str) -> Any:
    """Warp's device for a device of torch.

    Raises:
        EngineError: Warp cannot use it.
    """
    import warp

    # Kernels that are loaded are not worth a line each; older versions have `quiet` for that.
    warp.config.log_level = logging.WARNING
    warp.config.quiet = True
    warp.init()
    try:
        if torch.device(device).type == "cuda" and not warp.is_cuda_available():
            raise RuntimeError("Warp finds no CUDA driver")
        return warp.device_from_torch(torch.device(device))
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise EngineError(
            f"engine warp: --device {device} cannot be used on this machine ({reason}); use "
            "--device cuda with an NVIDIA GPU, or --engine mujoco"
        ) from error
