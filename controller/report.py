"""Figures about a run: in `status`, and printed when the daemon ends."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from controller.camera_inbox import CameraInbox
from controller.children import SimulationReady
from controller.core import Controller
from controller.link import HandLink
from controller.policy import Policy
from controller.statistics import Histogram
from controller.tape import Tape
from controller.ticker import Ticker
from perception.records import TagCorners


def statistics(
    controller: Controller[TagCorners],
    ticker: Ticker,
    sections: Mapping[str, Histogram],
    inbox: CameraInbox,
    link: HandLink,
    tape: Tape,
    world: SimulationReady | None,
) -> dict[str, object]:
    """Members of `status` beside the snapshot; times in seconds."""
    policy = controller.policy
    return {
        "tick": {
            **ticker.statistics.summary(),
            "recent_on_time_share": ticker.statistics.recent_share(),
            "recent_lateness": ticker.statistics.recent_lateness(),
            "sections": {name: histogram.summary() for name, histogram in sections.items()},
        },
        "policy_latency": policy.latency.summary() if isinstance(policy, Policy) else None,
        "cameras": {name: asdict(status) for name, status in inbox.status.copy().items()},
        "malformed_camera_messages": inbox.malformed,
        "bus": {"errors": link.errors, "problem": link.problem},
        "recorder": {"lost": tape.lost, "problem": tape.problem},
        "world": world.world if world else None,
    }


def exit_report(
    reason: str,
    controller: Controller[TagCorners],
    ticker: Ticker,
    sections: Mapping[str, Histogram],
) -> str:
    """What the daemon prints at its end."""
    ticks = ticker.statistics
    lines = [
        f"inhandd ended: {reason}",
        f"ticks: {ticks.ticks}, skipped {ticks.skipped}, on time {100 * ticks.share:.2f} %",
        f"lateness: {_times(ticks.lateness)}",
        f"work: {_times(ticks.work)}",
        *(f"  {name}: {_times(histogram)}" for name, histogram in sections.items()),
        f"memory: {_largest_memory() / 1e6:.0f} MB resident at most",
    ]
    if isinstance(controller.policy, Policy):
        latency = controller.policy.latency
        lines.append(f"policy: {latency.count} steps, {_times(latency)}")
    goals = controller.goals
    lines.append(f"goals: {goals.reached} reached, {goals.missed} missed")
    return "\n".join(lines)


def _largest_memory() -> int:
    """The most that was resident since this program began [bytes].

    Not what `getrusage` says: that counts what was before `exec`, the parent's memory.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    (largest,) = (line for line in lines if line.startswith("VmHWM:"))
    return 1024 * int(largest.split()[1])


def _times(histogram: Histogram) -> str:
    parts = (f"{key} {1000 * value:.3f}" for key, value in histogram.summary().items())
    return ", ".join(parts) + " ms"
