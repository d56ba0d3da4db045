"""Statistics of a run: members of `status`, and the text printed when the daemon ends."""

import dataclasses
from pathlib import Path

from msgspec.structs import asdict

from inhand.controller.policy.runtime import Policy
from inhand.controller.runtime.fit_watch import FitWatch
from inhand.controller.runtime.loop import TickLoop
from inhand.controller.runtime.processes import SimulationReady
from inhand.controller.system.statistics import Histogram
from inhand.perception.records import FilterHealth


def statistics(
    loop: TickLoop, world: SimulationReady | None, fit: FitWatch, factor: float | None = None
) -> dict[str, object]:
    """Members of `status` beside the snapshot; times in seconds.

    Args:
        loop: the daemon's tick loop.
        world: the simulated world, if there is one.
        fit: the check whether the detected tags fit a pose.
        factor: speed of simulated time, 1 for as fast as real time; None if time is real.
    """
    policy, ticks, inbox, link = (
        loop.controller.policy,
        loop.ticker.statistics,
        loop.inbox,
        loop.link,
    )
    # Read once: the tick changes it meanwhile.
    in_control = loop.requests.authority.holder
    return {
        "tick": {
            **ticks.summary(),
            "recent_on_time_share": ticks.recent_share(1000),
            "last_on_time_share": ticks.recent_share(100),
            "recent_lateness": ticks.recent_lateness(),
            "sections": {name: histogram.summary() for name, histogram in loop.sections.items()},
        },
        "policy_latency": policy.latency.summary() if isinstance(policy, Policy) else None,
        "cameras": {name: asdict(status) for name, status in inbox.status.copy().items()},
        "malformed_camera_messages": inbox.malformed,
        "tags": {"problem": fit.problem},
        "fusion": _fusion(loop),
        "bus": {"errors": link.errors, "problem": link.problem},
        "recorder": {"lost": loop.tape.lost + loop.tape.unwritten, "problem": loop.tape.problem},
        "control": None if in_control is None else in_control.name,
        "world": world.world if world else None,
        "real_time_factor": factor,
    }


def _fusion(loop: TickLoop) -> dict[str, object]:
    """Counts and problems of the pose filter; each camera by its name."""
    snapshot = loop.snapshot
    health = FilterHealth() if snapshot is None else snapshot.fusion
    members: dict[str, object] = dataclasses.asdict(health)
    members["cameras"] = {
        fit.camera: {
            "residual": fit.residual,
            "turn": fit.turn,
            "shift": fit.shift,
            "used": fit.used,
            "problem": fit.problem,
        }
        for fit in health.cameras
    }
    return members


def exit_report(loop: TickLoop) -> str:
    """The text that the daemon prints when it ends."""
    ticks, policy, goals = loop.ticker.statistics, loop.controller.policy, loop.controller.goals
    lines = [
        f"inhandd ended: {loop.stop_reason or 'error'}",
        f"ticks: {ticks.ticks}, skipped {ticks.skipped}, on time {100 * ticks.share:.2f} %",
        f"period: {_times(ticks.period)}",
        f"lateness: {_times(ticks.lateness)}",
        f"work: {_times(ticks.work)}",
        *(f"  {name}: {_times(histogram)}" for name, histogram in loop.sections.items()),
        f"memory: {_largest_memory() / 1e6:.0f} MB resident at most",
    ]
    if isinstance(policy, Policy):
        lines.append(f"policy: {policy.latency.count} steps, {_times(policy.latency)}")
    lines.append(f"goals: {goals.reached} reached, {goals.missed} missed")
    return "\n".join(lines)


def _largest_memory() -> int:
    """Peak resident memory of this program [bytes].

    `getrusage` is not used: its peak includes the parent's memory before `exec`.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    (largest,) = (line for line in lines if line.startswith("VmHWM:"))
    return 1024 * int(largest.split()[1])


def _times(histogram: Histogram) -> str:
    parts = (f"{key} {1000 * value:.3f}" for key, value in histogram.summary().items())
    return ", ".join(parts) + " ms"
