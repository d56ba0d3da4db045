"""`inhand replay`: runs a recording through fusion, policy and action path again.

On the same machine and with the same versions the results are equal to the bit; otherwise the first
difference is shown. This finds errors that tests with artificial inputs do not find: code that
depends on timing, on the order of events, or on state from an earlier run.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from inhand.controller.core.controller import Controller
from inhand.controller.errors import RecordingError
from inhand.controller.estimation.fusion import PoseFilter
from inhand.controller.ipc.dispatch import perform
from inhand.controller.ipc.request_queue import PendingRequest
from inhand.controller.policy.files import SHIPPED, policy_with_hash
from inhand.controller.policy.monitor_file import load_monitor, monitor_beside
from inhand.controller.policy.runtime import Policy, load_policy
from inhand.controller.recording import revisions, tick_record
from inhand.controller.recording.checkpoint import (
    capture,
    monitor_in,
    restore,
    without_newer_members,
)
from inhand.controller.recording.difference import Difference, compare
from inhand.controller.recording.older_checkpoints import upgraded
from inhand.controller.recording.reader import Header, Recording, open_recording, versions
from inhand.controller.recording.tick_record import CheckpointRecord, Inputs, TickRecord
from inhand.controller.safety.modes import Happening
from inhand.hardware.dynamixel.simulated_servos import with_servos
from inhand.hardware.model.hand import Hand, parse_hand
from inhand.hardware.records import Targets
from inhand.perception.cameras import Camera, parse_rig
from inhand.perception.objects import ObjectDescription, parse_object
from inhand.perception.records import TagCorners
from inhand.result import print_json


@dataclass(frozen=True)
class Report:
    """The result of a replay.

    Attributes:
        ticks: number of ticks that were run again.
        skipped: number of ticks before the first checkpoint, or between a gap and the next one.
        gaps: number of places where records are missing.
        difference: the first difference; None if all values are equal.
        versions: versions in the recording that differ from the installed ones.
        changes: changes of this program since the recording, by which results may differ: where,
            and why.
    """

    ticks: int
    skipped: int
    gaps: int
    difference: Difference | None
    versions: dict[str, str]
    changes: tuple[str, ...] = ()


class Replay:
    """A controller whose inputs come from a recording.

    Args:
        recording: the recording.
        policies: additional directory in which its policies are searched.
    """

    def __init__(self, recording: Recording, policies: Path | None = None) -> None:
        self.recording = recording
        self._directories = [SHIPPED, Path(recording.header.policy_directory)]
        if policies is not None:
            self._directories.insert(0, policies)
        self._hand, self._target, self._cameras = descriptions(recording.header)
        self._policies: dict[str, Policy] = {}
        filter_ = PoseFilter(
            self._target,
            self._cameras,
            hand=self._hand if recording.header.control.follow_hand else None,
        )
        self._controller = Controller[TagCorners](
            self._hand, self._target, filter_, recording.header.control
        )

    def run(self) -> Report:
        """Runs the ticks until the first difference, or to the end.

        Raises:
            RecordingError: no tick of the recording can be run again.
            PolicyError: a policy of the recording is not found.
        """
        ticks = skipped = gaps = 0
        last: int | None = None
        difference = None
        for record in self.recording.records():
            if isinstance(record, CheckpointRecord):
                if last is not None and last == record.n:
                    made = upgraded(record.state)
                    state = without_newer_members(made, capture(self._controller))
                    difference = compare(record, {"state": made}, {"state": state})
                    if difference:
                        break
                else:
                    self._restore(record)
                    last = record.n
            elif last is None:
                skipped += 1
            elif record.n != last + 1:
                gaps, skipped, last = gaps + 1, skipped + 1, None
            else:
                difference = self._run_tick(record)
                ticks, last = ticks + 1, record.n
                if difference:
                    break
        if not ticks:
            raise RecordingError(
                f"recording {self.recording.path}: has no checkpoint with ticks after it; record "
                f"for longer than {tick_record.CHECKPOINT_PERIOD:g} s"
            )
        here = versions()
        made = self.recording.header.versions
        other = {name: found for name, found in made.items() if here.get(name) != found}
        changes = revisions.changes_since(made.get(revisions.NAME, ""))
        return Report(ticks, skipped, gaps, difference, other, changes)

    def _restore(self, record: CheckpointRecord) -> None:
        policy = self._controller.operation.policy = self._policy(record.policy_sha256)
        state = upgraded(record.state)
        if policy is not None:
            self._take_monitor(policy, monitor_in(state))
        try:
            restore(self._controller, state)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordingError(
                f"recording {self.recording.path}: its checkpoint does not fit this version "
                f"({error}); use the version that made it"
            ) from error

    def _take_monitor(self, policy: Policy, recorded: str) -> None:
        """Gives the policy the monitor of the recording, by SHA-256; an empty text for none."""
        if not recorded:
            policy.monitor = None
        elif policy.monitor is None or policy.monitor.sha256 != recorded:
            raise RecordingError(
                f"recording {self.recording.path}: made with another monitor of {policy.name}, "
                f"SHA-256 {recorded[:12]}; put its file beside the policy (`--policies DIR`)"
            )

    def _run_tick(self, record: TickRecord) -> Difference | None:
        """Runs one tick again, and compares its results."""
        controller = self._controller
        repeat(controller, record.inputs, self._policy, readonly=self.recording.header.readonly)
        events = controller.take_events()
        replayed = {
            "outputs": tick_record.outputs(controller.snapshot()),
            "events": events,
        }
        return compare(record, {"outputs": record.outputs, "events": record.events}, replayed)

    def _policy(self, sha256: str) -> Policy | None:
        if not sha256:
            return None
        if sha256 not in self._policies:
            path = policy_with_hash(sha256, self._directories)
            policy = load_policy(path, self._hand, self._target, allowed={sha256})
            if self.recording.header.monitors and monitor_beside(path).exists():
                policy.monitor = load_monitor(monitor_beside(path), policy, self._hand)
            self._policies[sha256] = policy
        return self._policies[sha256]


def repeat(
    controller: Controller[TagCorners],
    inputs: Inputs,
    policy: Callable[[str], Policy | None],
    *,
    readonly: bool,
) -> None:
    """Gives a controller what the loop gave it in one tick, in the same order.

    Args:
        controller: in the state before the tick.
        inputs: what the loop recorded.
        policy: finds a policy by its digest; called with an empty text where there was none.
        readonly: whether requests that could move the hand were refused.
    """
    if inputs.line is not None:
        controller.watch_line(inputs.line)
    for name, reason in inputs.earlier:
        controller.report(Happening(name), reason)
    for recorded in inputs.requests:
        pending = PendingRequest([], recorded.request, policy(recorded.policy_sha256))
        perform(controller, pending, readonly=readonly)
    controller.tick(inputs.t, inputs.joints, inputs.corners)
    if inputs.sent is not None:
        controller.note_sent(Targets(inputs.t, inputs.sent))
    for name, reason in inputs.happenings:
        controller.report(Happening(name), reason)


def descriptions(header: Header) -> tuple[Hand, ObjectDescription, dict[str, Camera]]:
    """The hand, the object and the cameras that a recording was made with."""
    where = "of the recording"
    return (
        # A recording of a simulation may be of a hand without servos.
        with_servos(parse_hand(header.hand.encode(), where)),
        parse_object(header.object.encode(), where, recorded=True),
        parse_rig(header.rig.encode(), where),
    )


def replay(
    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")],
    /,
    policies: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None,
    json: bool = False,
) -> int:
    """Run a recording through fusion, policy and action path again, and compare to the bit.

    Ends with 0 if all is equal, with 1 at the first difference.

    Example: inhand replay recording.mcap

    Args:
        file: A recording of inhandd.
        policies: Directory of its policies, if they have been moved.
        json: Print the report as JSON.
    """
    report = Replay(open_recording(file), policies).run()
    if json:
        print_json(report)
    else:
        print(as_text(report))
    return 1 if report.difference else 0


def as_text(report: Report) -> str:
    """A report as text."""
    lines = [f"{report.ticks} ticks run again, {report.skipped} skipped, {report.gaps} gaps"]
    if report.versions:
        made = ", ".join(f"{name} {found}" for name, found in report.versions.items())
        lines.append(f"made with {made}: bit-equal results are not guaranteed here")
    found = report.difference
    if found is None:
        return "\n".join([*lines, "equal to the bit"])
    lines += [f"first difference: tick {found.n}, t = {found.t!r} s, {found.what}"]
    lines += [f"  recorded {found.recorded}", f"  replayed {found.replayed}"]
    if report.changes:
        lines.append("the program has changed since the recording; results may differ in")
        lines += [f"  {change}" for change in report.changes]
    return "\n".join(lines)


def main() -> int:
    """Entry point of `inhand replay`."""
    return tyro.cli(replay, prog="inhand replay", config=(tyro.conf.FlagCreatePairsOff,))


if __name__ == "__main__":
    sys.exit(main())
