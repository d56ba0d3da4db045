"""Draws what differs between the engines' contacts: `python -m benchmarks.reality`.

Force over indentation of a fingertip, spin-down of a block on it, and the bounce of a block on the
palm, for `docs/reality.md`.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np

from tests.training.contacts import bounce, indentation, rebound, spin_down, spinning
from tests.training.effects import DRAKE, HAND, MUJOCO, PYBULLET, Engine

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend is chosen before)
from matplotlib.axes import Axes  # noqa: E402  (the same)

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "contacts.png"
WEIGHTS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
SOFT = {"contact_softness": 0.001}
COLORS = {"pybullet": "tab:blue", "mujoco": "tab:orange", "drake": "tab:green"}


def main() -> None:
    """Measures, prints and draws."""
    _solvers()
    figure, (indent, spin, fall) = plt.subplots(1, 3, figsize=(12, 3.6))
    for engine in (PYBULLET, MUJOCO, DRAKE):
        color = COLORS[engine.name]
        _indentation(indent, engine, color)
        _spin(spin, engine, color)
        for fields, style in (({}, "-"), ({**SOFT, "contact_rebound": 0.1}, "--")):
            times, heights = bounce(engine, **fields)
            fall.plot(1e3 * times, 1e3 * heights, style, color=color)
    indent.set(xlabel="indentation of a fingertip [mm]", ylabel="force [N]")
    spin.set(xlabel="time [s]", ylabel="spin of a block on a fingertip [rad/s]", ylim=(0, 42))
    fall.set(xlabel="time [ms]", ylabel="height over the palm [mm]", xlim=(0, 300))
    for axes in (indent, spin, fall):
        axes.grid(alpha=0.3)
    indent.legend(fontsize=7)
    spin.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=110)


def _solvers() -> None:
    """Prints the results of each of Drake's contact models in the same cases."""
    for settings in (
        {"solver": "lagged"},
        {"solver": "similar"},
        {"solver": "sap"},
        {"contact": "point"},
        {"fingertips": "ellipsoid"},
        {"fingertips": "sphere"},
        {"edge_radius": 0.0},
    ):
        print(
            f"drake {settings}: {1e3 * indentation(DRAKE, drake=settings):.2f} mm under 1 N, "
            f"bounces to {rebound(DRAKE, drake=settings):.3f}, "
            f"{spin_down(DRAKE, drake=settings):.0f} rad/s², "
            f"{_speed(settings):.1f} x real time"
        )


def _speed(settings: Mapping[str, object], seconds: float = 4.0) -> float:
    """Simulated over processor time while the servos get random targets 20 times a second."""
    x, y, z = HAND.workspace.object_start
    world = DRAKE.world((x, y, z), drake=settings)
    rng, on = np.random.default_rng(1), np.ones(HAND.n_actuators, dtype=np.bool_)
    began = time.process_time()
    for step in range(round(seconds / world.timestep)):
        if step % 20 == 0:
            targets = HAND.rest + rng.uniform(-0.4, 0.4, HAND.n_actuators)
        world.step(targets, on)
    return seconds / (time.process_time() - began)


def _indentation(axes: Axes, engine: Engine, color: str) -> None:
    for fields, style, name in (({}, "-", ""), (SOFT, "--", ", 1 mm softer")):
        depths = [indentation(engine, weight, **fields) for weight in WEIGHTS]
        axes.plot(1e3 * np.array(depths), WEIGHTS, style, color=color, label=engine.name + name)
        print(f"{engine.name}{name}: {1e3 * depths[-1]:.2f} mm under 1 N")


def _spin(axes: Axes, engine: Engine, color: str) -> None:
    if engine is DRAKE:
        times, speeds = spinning(engine, 0.4)
        axes.plot(times, speeds, color=color, label="drake")
    else:
        times, speeds = spinning(engine, 0.4, torsional_friction=0.002)
        axes.plot(times, speeds, color=color, label=f"{engine.name}, torsional friction 2 mm")
    print(f"{engine.name}: {(speeds[0] - speeds[4]) / 0.08:.0f} rad/s² at first")


if __name__ == "__main__":
    main()
