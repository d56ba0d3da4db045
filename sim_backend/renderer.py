"""The simulated cameras as a process: states in, frames out.

PyBullet holds Python's global interpreter lock while it renders, so this is a separate process. Run
as `python -m inhand.sim_backend.renderer`. It prints one line of JSON when ready, and ends with its
parent.
"""

import json
import os
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import zmq

from inhand.errors import InhandError
from inhand.hardware.model.hand import load_hand
from inhand.perception.camera.sources import Frame, pack_frame
from inhand.perception.cameras import Camera, load_rig
from inhand.perception.objects import load_object
from inhand.perception.parent import Parent
from inhand.perception.simulated_time import CAMERA_RATE, picture_number
from inhand.perception.tags import Image
from inhand.sim_backend.states import WorldState, decode_state

if TYPE_CHECKING:
    from inhand.sim_backend.scene import Scene

RATE = CAMERA_RATE
"""Rate of triggers [Hz]."""


def serve(
    scene: "Scene",
    cameras: Mapping[str, Camera],
    states: zmq.Socket[bytes],
    outputs: Mapping[str, zmq.Socket[bytes]],
    rate: float,
) -> None:
    """Renders all cameras at each trigger, from one state, until the parent process has ended.

    A trigger without a new state is skipped: when the world stands still, there are no new frames,
    and the age of the last one shows it.
    """
    parent = Parent()
    seq = 0
    trigger = time.monotonic()
    while parent.alive:
        now = time.monotonic()
        if now < trigger:
            time.sleep(trigger - now)
        # The next trigger in the future with the same phase: missed triggers are skipped.
        trigger += (1 + max(0, int((time.monotonic() - trigger) * rate))) / rate
        if not states.poll(200):
            continue
        state = _decode(states.recv())
        if state is None:
            continue
        for name, message in _draw(scene, cameras, state, seq):
            outputs[name].send_multipart(message, copy=False)
        seq += 1


def serve_timed(
    scene: "Scene",
    cameras: Mapping[str, Camera],
    states: zmq.Socket[bytes],
    outputs: Mapping[str, zmq.Socket[bytes]],
) -> None:
    """Renders all cameras at each trigger of simulated time, until the parent process has ended.

    If a state comes again, its frames are sent again, for receivers that connected later.
    """
    parent = Parent()
    drawn, t, seq, messages = -1, -1.0, 0, dict[str, list[bytes]]()
    while parent.alive:
        if not states.poll(200):
            continue
        state = _decode(states.recv())
        if state is None:
            continue
        if picture_number(state.t) > drawn:
            drawn, t = picture_number(state.t), state.t
            messages = dict(_draw(scene, cameras, state, seq))
            seq += 1
        elif state.t != t:
            continue
        for name, message in messages.items():
            outputs[name].send_multipart(message)


def _draw(
    scene: "Scene", cameras: Mapping[str, Camera], state: WorldState, seq: int
) -> Iterator[tuple[str, list[bytes]]]:
    """Camera names and messages with the frames of one instant."""
    scene.place(np.array(state.joints), np.array(state.position), np.array(state.quaternion))
    for name, camera in cameras.items():
        yield name, pack_frame(Frame(state.t, with_noise(scene.render(camera), seq)), seq)


def with_noise(image: Image, seq: int) -> Image:
    """An image with one pixel changed, as sensor noise would change it.

    Identical images are taken as the sign of a frozen camera.
    """
    noisy = image.copy()
    noisy[0, 0] = seq % 256
    return noisy


def _decode(message: bytes) -> WorldState | None:
    try:
        return decode_state(message)
    except msgspec.DecodeError as error:
        print(f"renderer: malformed state skipped: {error}", file=sys.stderr)
        return None


def _socket(kind: int, address: str, *, timed: bool) -> zmq.Socket[bytes]:
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
    socket.set(zmq.LINGER, 0)
    if kind == zmq.SUB:
        # In real time only the newest state is used; in simulated time, none may be lost.
        socket.set(zmq.CONFLATE, int(not timed))
        socket.subscribe(b"")
        socket.connect(address)
    else:
        socket.set(zmq.SNDHWM, 10 if timed else 1)
        socket.bind(address)
    return socket


def main() -> None:
    """Entry point of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parser = ArgumentParser(prog="python -m inhand.sim_backend.renderer", description=__doc__)
    parser.add_argument("--hand", required=True, help="name or file of the hand")
    parser.add_argument("--object", required=True, help="name or file of the object")
    parser.add_argument("--object-scale", type=float, default=1.0, help="size of the object drawn")
    parser.add_argument("--rig", required=True, help="rig file (TOML) of the cameras as they are")
    parser.add_argument("--states", required=True, help="address where the world publishes states")
    parser.add_argument(
        "--camera",
        action="append",
        required=True,
        metavar="NAME=ADDRESS",
        help="camera of the rig and the address to publish its frames at; once for each",
    )
    parser.add_argument(
        "--plain", action="store_true", help="draw the object without tags, in its own look"
    )
    parser.add_argument("--rate", type=float, default=RATE, help="triggers a second")
    parser.add_argument(
        "--timed", action="store_true", help="trigger in simulated time, by the times of the states"
    )
    arguments = parser.parse_args()
    timed = arguments.timed
    if not timed:
        # Lower priority than world and daemon, whose ticks have deadlines.
        os.nice(5)
    try:
        hand = load_hand(arguments.hand)
        description = load_object(arguments.object)
        rig = load_rig(arguments.rig)
    except InhandError as error:
        sys.exit(f"error: {error}")
    addresses = dict(item.split("=", 1) for item in arguments.camera if "=" in item)
    unknown = [item for item in arguments.camera if item.split("=", 1)[0] not in rig]
    if unknown or len(addresses) != len(arguments.camera):
        sys.exit(
            f"error: --camera {arguments.camera}: each must be NAME=ADDRESS with a name of the "
            f"rig ({', '.join(rig)}), once"
        )
    # PyBullet prints a banner to standard output, where the parent expects one line of JSON: the
    # banner goes to standard error instead.
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from inhand.sim_backend.scene import Scene, resized

    description = resized(description, arguments.object_scale)
    with tempfile.TemporaryDirectory(prefix="inhand-renderer-") as directory:
        scene = Scene(hand, description, Path(directory), tagged=not arguments.plain)
    states = _socket(zmq.SUB, arguments.states, timed=timed)
    outputs = {name: _socket(zmq.PUB, at, timed=timed) for name, at in addresses.items()}
    cameras = {name: rig[name] for name in addresses}
    print(json.dumps({"ready": True, "cameras": addresses}), file=report, flush=True)
    try:
        if timed:
            serve_timed(scene, cameras, states, outputs)
        else:
            serve(scene, cameras, states, outputs, arguments.rate)
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
