"""Feed of a recording: plays it, or shows the time that a slider selects."""

import time
from pathlib import Path

import numpy as np
from viser import GuiApi

from inhand.controller.client.connection import Message
from inhand.controller.errors import RecordingError
from inhand.controller.ipc.telemetry import describe
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.tick_record import TickRecord, snapshot_of
from inhand.controller.view.view_model import History, Moment, Pose, Row, Setting, setting_of
from inhand.perception.errors import PerceptionError
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import TagCorners

_EVERY = 5
"""One of so many ticks is drawn, which is as fast as the page is refreshed."""

_BEFORE = 20.0
"""Length of the curves before the present time [s]."""

_TOGETHER = 0.03


class RecordedFeed:
    """See `inhand.controller.view.view_model.Feed`."""

    def __init__(self, path: Path) -> None:
        """Opens a recording.

        Raises:
            RecordingError: the file is no recording, or was never completed.
            InhandError: its hand cannot be shown by this version.
        """
        self._recording = open_recording(path)
        self._begin, self._end = self._recording.span()
        header = self._recording.header
        self.setting: Setting | None = setting_of(header.hand, header.object, header.rig)
        self.problem = ""
        self.looking = True
        self.history = History()
        self._moment: Moment | None = None
        self._wanted = self._begin
        self._shown = -np.inf
        self._playing_since: tuple[float, float] | None = None
        self._seen: dict[str, TagCorners] = {}
        self._row = Row()

    def start(self) -> None:
        """Does nothing: a recording is read when a moment is asked for."""

    def controls(self, gui: GuiApi) -> None:
        """Adds the slider."""
        length = max(self._end - self._begin, 0.1)
        gui.add_markdown(f"recording {self._recording.path.name}: {self._recording.reason}")
        self._slider = gui.add_slider("time [s]", 0.0, round(length, 2), 0.05, 0.0)
        self._slider.on_update(lambda event: self._seek(event.client is not None))
        self._play = gui.add_checkbox("play", False)
        self._play.on_update(lambda _: self._start())

    def moment(self) -> Moment | None:
        """The moment that the slider stands at."""
        if self._playing_since is not None:
            began, at = self._playing_since
            self._wanted = min(at + time.monotonic() - began, self._end)
            # viser declares handles' values with a setter that mypy does not see.
            self._slider.value = round(self._wanted - self._begin, 2)  # type: ignore[misc]  # no setter in viser's stubs
            if self._wanted >= self._end:
                self._play.value = False  # type: ignore[misc]  # no setter in viser's stubs
                self._playing_since = None
        wanted = self._wanted
        if wanted != self._shown:
            try:
                self._show(wanted)
                self.problem = ""
            except RecordingError as error:
                self.problem = str(error)
            self._shown = wanted
        return self._moment

    def close(self) -> None:
        """Does nothing: the file is open only while it is read."""

    def _seek(self, by_hand: bool) -> None:
        if by_hand:
            self._wanted = self._begin + float(self._slider.value)
            self._start()

    def _start(self) -> None:
        playing = bool(self._play.value)
        self._playing_since = (time.monotonic(), self._wanted) if playing else None

    def _show(self, t: float) -> None:
        """Reads on from the time that is shown, or anew after a jump backwards or far forwards."""
        start = self._shown
        if not 0 <= t - start <= _BEFORE:
            start = max(self._begin, t - _BEFORE)
            self.history.clear()
            self._seen, self._row, self._moment = {}, Row(), None
        for record in self._recording.part(start, t + 0.02, _EVERY):
            self._take(record)
        if self._moment is None:
            # Before the first tick that is drawn.
            for record in self._recording.part(t, t + 1.0, _EVERY):
                self._take(record)
                break

    def _take(self, record: TickRecord) -> None:
        state = state_of(record)
        late = max(0.0, record.times.parts()["lateness"])
        moment = Moment(state, {"tick": {"recent_lateness": late}}, self._row.count(state))
        for seen in record.inputs.corners:
            self._seen[seen.camera] = seen
        moment.measured = self._measure(record.t)
        self.history.add(moment)
        self._moment = moment

    def _measure(self, t: float) -> Pose | None:
        assert self.setting is not None
        newest = max((seen.t for seen in self._seen.values()), default=t)
        frames = [seen for seen in self._seen.values() if newest - seen.t < _TOGETHER]
        try:
            found = estimate_poses(self.setting.target, self.setting.cameras, frames)
        except PerceptionError:
            return None
        return (found[0].position, found[0].quaternion) if found else None


def state_of(record: TickRecord) -> Message:
    """A recorded tick in the format of the topic `state`."""
    return describe(snapshot_of(record), record.t)
