"""Camera process: reads frames, sends what they show of the object, and a heartbeat.

Run by the daemon as `python -m inhand.perception.camera.camera_process`; ends with its parent.
"""

import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Protocol

import cv2
import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from inhand.perception.camera.health import CameraHealth, flaw
from inhand.perception.camera.live import StuckError
from inhand.perception.camera.open_source import open_source
from inhand.perception.camera.preview import Preview
from inhand.perception.camera.settings import DeviceSettings
from inhand.perception.camera.sources import Source
from inhand.perception.cameras import Camera, CameraError, load_rig
from inhand.perception.detection.detection import TagDetector
from inhand.perception.errors import PerceptionError
from inhand.perception.objects import ObjectDescription, load_object
from inhand.perception.parent import Parent
from inhand.perception.records import CameraStatus, TagCorners, encode
from inhand.perception.simulated_time import TimePage

CLOCK_TOLERANCE = 0.01
"""Largest time by which a frame's time stamp may be in the future [s]."""

STATUS_PERIOD = 0.5
"""Period of the heartbeat [s]."""


class Detector(Protocol):
    """Finds the object in frames.

    Attributes:
        eyes: by what: `tags`, `network` or `both`.
        problem: what is wrong with the newest frame; empty if nothing is.
    """

    eyes: str
    problem: str

    def detect(self, image: NDArray[np.uint8], t: float) -> TagCorners:
        """What an image shows that was captured at `t` [s]."""


def serve(
    camera: Camera,
    source: Source,
    detector: Detector,
    output: zmq.Socket[bytes],
    preview: Preview | None = None,
    simulated: TimePage | None = None,
) -> None:
    """Reads frames and sends what they show, until the parent process has ended.

    In simulated time somebody may wait for the record of a frame: a frame that comes again is
    answered again.
    """
    parent = Parent()
    now = time.monotonic if simulated is None else simulated.now
    corners: TagCorners | None = None
    seen = -1.0
    health = CameraHealth(camera.name, now(), eyes=detector.eyes)
    next_status = 0.0
    while parent.alive:
        known = health.problem, health.note
        try:
            frame = source.read(STATUS_PERIOD / 2)
            if frame is None:
                health.silence(now())
            elif simulated is not None and frame.t == seen and corners is not None:
                _send(output, corners)
            else:
                begin, ahead = time.monotonic(), frame.t - now()
                if ahead > CLOCK_TOLERANCE:
                    raise CameraError(
                        f"camera {camera.name!r}: a frame is stamped {ahead:.3f} s in "
                        "the future; source and daemon must share CLOCK_MONOTONIC"
                    )
                corners = detector.detect(frame.image, frame.t - camera.latency)
                seen = frame.t
                problem = flaw(frame.image) or detector.problem
                health.frame(frame.t, time.monotonic() - begin, problem)
                _send(output, corners)
                if preview is not None:
                    preview.offer(frame, corners)
        except StuckError:
            # A new process is the only way out: the daemon starts one.
            raise
        except CameraError as error:
            health.problem = str(error)
        health.note = _note(source, camera)
        t = now()
        if t >= next_status or (health.problem, health.note) != known:
            next_status = t + STATUS_PERIOD
            _send(output, health.status(t))


def _note(source: Source, camera: Camera) -> str:
    """What the source says of itself, with the latency that is subtracted."""
    if not source.note or not camera.latency:
        return source.note
    return f"{source.note}; {1000 * camera.latency:.1f} ms of latency are subtracted"


def _send(output: zmq.Socket[bytes], record: TagCorners | CameraStatus) -> None:
    """Sends a record, or drops it if the daemon does not keep up: old corners are useless."""
    try:
        output.send(encode(record), zmq.NOBLOCK)
    except zmq.Again:
        return


def _detector(arguments: Namespace, camera: Camera, description: ObjectDescription) -> Detector:
    """The eyes that were asked for.

    Raises:
        PerceptionError: they do not fit the object or the camera.
    """
    if arguments.network is None:
        return TagDetector(camera, description)
    # A robot that uses tags needs no time for it.
    from inhand.perception.camera.both_eyes import BothEyes
    from inhand.perception.keypoints.detector import VertexDetector
    from inhand.perception.keypoints.network import VertexNetwork

    network = VertexNetwork(arguments.network, description)
    vertices = VertexDetector(camera, description, network, np.array(arguments.around))
    return BothEyes(TagDetector(camera, description), vertices) if arguments.both else vertices


def main() -> None:
    """Entry point of the process."""
    # Ctrl-C reaches every process of the terminal; this process ends when the daemon has ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parser = ArgumentParser(
        prog="python -m inhand.perception.camera.camera_process", description=__doc__
    )
    parser.add_argument("--camera", required=True, help="name of the camera in the rig")
    parser.add_argument(
        "--source", required=True, help="ipc:// address, /dev/videoN, folder or video"
    )
    parser.add_argument("--rig", required=True, help="rig file (TOML)")
    parser.add_argument("--object", required=True, help="name or file of the object")
    parser.add_argument("--output", required=True, help="address of the daemon's PULL socket")
    parser.add_argument("--network", type=Path, help="file of the network; without it, tags")
    parser.add_argument("--both", action="store_true", help="find tags beside the network")
    parser.add_argument(
        "--around",
        type=float,
        nargs=3,
        default=(0.0, 0.0, 0.0),
        help="point around which a network looks for the object, world frame [m]",
    )
    parser.add_argument("--settings", default="{}", help="settings of the device (JSON)")
    parser.add_argument("--preview", help="address to publish preview images on")
    parser.add_argument("--time", type=Path, help="directory of the simulated time to take part in")
    arguments = parser.parse_args()
    # Frames are small: waking more threads costs more time than they save.
    cv2.setNumThreads(1)
    try:
        rig = load_rig(arguments.rig)
        if arguments.camera not in rig:
            raise CameraError(
                f"rig file {arguments.rig} has no camera {arguments.camera!r}; it has "
                f"{', '.join(rig)}"
            )
        camera = rig[arguments.camera]
        description = load_object(arguments.object)
        settings = msgspec.json.decode(arguments.settings, type=DeviceSettings)
        detector = _detector(arguments, camera, description)
        size, color = (camera.width, camera.height), arguments.network is not None
        source = open_source(arguments.source, size, settings, color=color)
        preview = Preview.open(arguments.preview) if arguments.preview else None
        simulated = TimePage.open(arguments.time) if arguments.time else None
    except (PerceptionError, OSError, msgspec.DecodeError) as error:
        sys.exit(f"error: {error}")
    output: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
    output.set(zmq.SNDHWM, 16)
    output.set(zmq.LINGER, 0)
    output.connect(arguments.output)
    try:
        serve(camera, source, detector, output, preview, simulated)
    except StuckError as error:
        sys.exit(f"error: {error}; ending, to be started again")
    finally:
        if preview is not None:
            preview.close()
        source.close()
        output.close()


if __name__ == "__main__":
    main()
