"""`inhand view --rerun`: a running hand, or a recording, in Rerun's viewer or in its file.

See https://rerun.io/docs. Quaternions are xyzw there.
"""

import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import degrees
from pathlib import Path

import numpy as np
import rerun as rr
import rerun.blueprint as rrb
from numpy.typing import NDArray

from inhand.controller.client.connection import Message
from inhand.controller.errors import RecordingError
from inhand.controller.recording.reader import Recording, open_recording
from inhand.controller.recording.tick_record import TickRecord
from inhand.controller.system.progress import Progress
from inhand.controller.view.hand_shapes import links_of
from inhand.controller.view.object_model import face_colour, face_mesh
from inhand.controller.view.recorded import state_of
from inhand.controller.view.view_model import Feed, Moment, Picture, Setting, setting_of
from inhand.hardware.records import Array
from inhand.perception.objects import ObjectDescription

TIMELINE = "time"
WORLD = "/world"

_EVERY = 5
_POLL = 0.02
_GHOST_BESIDE = np.array([-0.1, 0.09, 0.03])
"""Where the goal is drawn, relative to the middle of the workspace, world frame [m]."""
_OPACITY = 110


class RerunLog:
    """Logs a hand to one stream of Rerun.

    Attributes:
        stream: Rerun's.
    """

    def __init__(self, setting: Setting, offset: float) -> None:
        """Takes the hand, and the offset from its clock to UTC [s]."""
        self.stream = rr.RecordingStream("inhand")
        self._setting, self._offset = setting, offset
        _, *self._moved = links_of(setting.hand)
        self._beside = np.array(setting.hand.workspace.center) + _GHOST_BESIDE
        self._mode = ""
        self._seen: dict[str, int] = {}

    def begin(self) -> None:
        """Sends what does not change: arrangement, shapes and cameras."""
        stream, setting = self.stream, self._setting
        stream.send_blueprint(blueprint(setting))
        stream.log(WORLD, rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        for link in links_of(setting.hand):
            self._place(link.path, link.position, link.fixed, static=True)
            for number, shape in enumerate(link.shapes):
                path = f"{link.path}/shape{number}"
                self._place(path, shape.position, shape.quaternion, static=True)
                self._mesh(path, shape.vertices, shape.faces, (*link.colour, 255))
        self._solid("/object", setting.target, 255)
        self._solid("/goal", setting.target, _OPACITY)
        for name, camera in setting.cameras.items():
            path = f"/cameras/{name}"
            self._place(path, camera.position, camera.quaternion, static=True)
            pinhole = rr.Pinhole(
                image_from_camera=camera.matrix,
                resolution=[camera.width, camera.height],
                image_plane_distance=0.03,
            )
            stream.log(f"{WORLD}{path}", pinhole, static=True)

    def show(self, moment: Moment) -> None:
        """Logs a moment."""
        state = moment.state
        self._at(state["t"])
        self._hand(state)
        self._object(state)
        late = moment.statistics.get("tick", {}).get("recent_lateness")
        if late is not None:
            self._number("/tick/lateness_ms", 1e3 * late)
        told = f"{state['mode']}: {state['reason']}"
        if told != self._mode:
            self._mode = told
            self.stream.log("/log", rr.TextLog(told, level=rr.TextLogLevel.INFO))
        for camera, picture in moment.pictures.items():
            if self._seen.get(camera) != id(picture):
                self._seen[camera] = id(picture)
                self._picture(camera, picture)

    def show_jpeg(self, t: float, camera: str, jpeg: bytes) -> None:
        """Logs a picture of a camera, taken at `t` [s]."""
        self._at(t)
        coded = rr.EncodedImage(contents=jpeg, media_type="image/jpeg")
        self.stream.log(f"{WORLD}/cameras/{camera}", coded)

    def _hand(self, state: Message) -> None:
        joints = state["joints"]
        if joints is None:
            return
        hand = self._setting.hand
        position = np.array(joints["position"], dtype=np.float64)
        for link, angle in zip(self._moved, hand.joint_angles(position), strict=True):
            self._place(link.path, link.position, link.turned(angle))
        target = state["targets"] or joints["position"]
        for kind, values in (("position", position), ("target", np.array(target))):
            self._number(f"/servos/{kind}_deg", np.degrees(values))
        self._number("/servos/current_a", np.array(joints["current"]))
        if joints.get("temperature"):
            warm = np.array(joints["temperature"], dtype=np.float64)
            self._number("/servos/temperature_c", warm)

    def _object(self, state: Message) -> None:
        pose, goal = state["object"]["pose"], state["goal"]
        if pose is not None:
            self._place("/object", np.array(pose["position"]), np.array(pose["quaternion"]))
        if goal is not None:
            self._place("/goal", self._beside, np.array(goal["quaternion"]))
            self._number("/goal/error_deg", degrees(goal["error"]))
        for name in ("reached", "missed", "dropped"):
            self._number(f"/goals/{name}", state[name])

    def _at(self, t: float) -> None:
        self.stream.set_time(TIMELINE, timestamp=t + self._offset)

    def _number(self, path: str, value: float | Array) -> None:
        self.stream.log(path, rr.Scalars(value))

    def _picture(self, camera: str, picture: Picture) -> None:
        self.stream.log(f"{WORLD}/cameras/{camera}", rr.Image(picture).compress(jpeg_quality=75))

    def _place(
        self, path: str, position: Array, quaternion: Array, *, static: bool = False
    ) -> None:
        turn = rr.Quaternion(xyzw=np.roll(quaternion, -1))
        transform = rr.Transform3D(translation=position, quaternion=turn)
        self.stream.log(f"{WORLD}{path}", transform, static=static)

    def _solid(self, path: str, target: ObjectDescription, opacity: int) -> None:
        for number, normal in enumerate(target.faces.values()):
            vertices, faces = face_mesh(target, normal)
            self._mesh(f"{path}/face{number}", vertices, faces, (*face_colour(number), opacity))

    def _mesh(
        self,
        path: str,
        vertices: NDArray[np.float32],
        faces: NDArray[np.uint32],
        colour: tuple[int, int, int, int],
    ) -> None:
        mesh = rr.Mesh3D(
            vertex_positions=vertices, triangle_indices=faces, albedo_factor=list(colour)
        )
        self.stream.log(f"{WORLD}{path}", mesh, static=True)


def blueprint(setting: Setting) -> rrb.Blueprint:
    """How the viewer is arranged: the hand, the cameras, and curves."""
    cameras = [
        rrb.Spatial2DView(origin=f"{WORLD}/cameras/{name}", name=name) for name in setting.cameras
    ]
    curves = rrb.Vertical(
        rrb.TimeSeriesView(origin="/goal", name="angle to the goal [deg]"),
        rrb.TimeSeriesView(origin="/goals", name="goals"),
        rrb.Tabs(
            rrb.TimeSeriesView(contents=["/servos/position_deg"], name="servo angles [deg]"),
            rrb.TimeSeriesView(contents=["/servos/target_deg"], name="targets [deg]"),
            rrb.TimeSeriesView(contents=["/servos/current_a"], name="currents [A]"),
            rrb.TimeSeriesView(contents=["/servos/temperature_c"], name="temperatures [°C]"),
            rrb.TimeSeriesView(origin="/tick", name="lateness of the tick [ms]"),
        ),
        rrb.TextLogView(origin="/log", name="modes"),
    )
    shown = rrb.Vertical(
        rrb.Spatial3DView(origin=WORLD, name="hand"),
        rrb.Horizontal(*cameras),
        row_shares=[3, 1],
    )
    return rrb.Blueprint(rrb.Horizontal(shown, curves, column_shares=[3, 2]), collapse_panels=True)


Sink = Callable[[rr.RecordingStream], None]
"""Says where a stream goes: to a viewer or to a file."""


def log_live(feed: Feed, sink: Sink, ended: Callable[[], bool]) -> None:
    """Logs a feed of a running hand until `ended` returns true."""
    log, setting, last = None, None, None
    while not ended():
        moment = feed.moment()
        if moment is None or moment is last or feed.setting is None:
            time.sleep(_POLL)
            continue
        if log is None or feed.setting is not setting:
            # Another hand is another stream.
            setting = feed.setting
            log = RerunLog(setting, time.time() - moment.state["t"])
            sink(log.stream)
            log.begin()
        log.show(moment)
        last = moment
    if log is not None:
        log.stream.flush()


def log_recording(path: Path, sink: Sink) -> None:
    """Logs a whole recording, every fifth tick, with the pictures that are in it.

    Raises:
        RecordingError: the file is no recording, or is damaged.
    """
    recording = open_recording(path)
    header = recording.header
    setting = setting_of(header.hand, header.object, header.rig)
    log = RerunLog(setting, recording.monotonic_to_utc)
    sink(log.stream)
    log.begin()
    begin = end = 0.0
    with suppress(RecordingError):
        begin, end = recording.span()
    progress = Progress(f"reading {path.name}", end - begin)
    for record in recording.records():
        if isinstance(record, TickRecord) and record.n % _EVERY == 0:
            late = max(0.0, record.times.parts()["lateness"])
            log.show(Moment(state_of(record), {"tick": {"recent_lateness": late}}))
            progress.at(record.t - begin)
    for t, camera, jpeg in _pictures(recording):
        log.show_jpeg(t, camera, jpeg)
    progress.end()
    log.stream.flush()


def _pictures(recording: Recording) -> Iterator[tuple[float, str, bytes]]:
    for topic, stamp, message in recording.messages():
        if topic.startswith("/image/"):
            t = stamp / 1e9 - recording.monotonic_to_utc
            yield t, topic.removeprefix("/image/"), b64decode(message["data"])
