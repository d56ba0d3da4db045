"""The simulated cameras as a process: states in, frames out.

PyBullet holds Python's lock while it renders, so this runs beside the world and not in it. Run
as `python -m inhand.sim_backend.renderer`; prints one line of JSON when ready, ends when its parent
does.
"""

import json
import os
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Mapping
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
from inhand.perception.tags import Image
from inhand.sim_backend.states import WorldState, decode_state

if TYPE_CHECKING:
    from inhand.sim_backend.scene import Scene

RATE = 15.0
"""Triggers a second."""


def serve(
    scene: "Scene",
    cameras: Mapping[str, Camera],
    states: zmq.Socket[bytes],
    outputs: Mapping[str, zmq.Socket[bytes]],
    rate: float,
) -> None:
    """Renders all cameras at each trigger, from one state, until the parent process is gone.

    A trigger without a state newer than the last is passed over: when the world stands still,
    so do the frames, and their age shows it.
    """
    parent = Parent()
    seq = 0
    trigger = time.monotonic()
    while parent.alive:
        now = time.monotonic()
        if now < trigger:
            time.sleep(trigger - now)
        # The next trigger in phase that is still to come: missed ones are not made up for.
        trigger += (1 + max(0, int((time.monotonic() - trigger) * rate))) / rate
        if not states.poll(200):
            continue
        state = _decode(states.recv())
        if state is None:
            continue
        scene.place(np.array(state.joints), np.array(state.position), np.array(state.quaternion))
        for name, camera in cameras.items():
            frame = Frame(state.t, with_noise(scene.render(camera), seq))
            outputs[name].send_multipart(pack_frame(frame, seq), copy=False)
        seq += 1


def with_noise(image: Image, seq: int) -> Image:
    """A picture that differs from the one before by a pixel, as a sensor's noise sees to.

    One that does not is taken for that of a camera that hangs.
    """
    noisy = image.copy()
    noisy[0, 0] = seq % 256
    return noisy


def _decode(message: bytes) -> WorldState | None:
    try:
        return decode_state(message)
    except msgspec.DecodeError as error:
        print(f"renderer: malformed state passed over: {error}", file=sys.stderr)
        return None


def _socket(kind: int, address: str) -> zmq.Socket[bytes]:
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
    socket.set(zmq.LINGER, 0)
    if kind == zmq.SUB:
        socket.set(zmq.CONFLATE, 1)
        socket.subscribe(b"")
        socket.connect(address)
    else:
        socket.set(zmq.SNDHWM, 1)
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
    parser.add_argument("--rate", type=float, default=RATE, help="triggers a second")
    arguments = parser.parse_args()
    # The ticks of world and daemon have deadlines; a frame that is a little late only ages.
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
    # PyBullet greets on standard output, where the parent expects our one line: send the
    # greeting to standard error, whenever it is flushed.
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from inhand.sim_backend.scene import Scene, resized

    description = resized(description, arguments.object_scale)
    with tempfile.TemporaryDirectory(prefix="inhand-renderer-") as directory:
        scene = Scene(hand, description, Path(directory))
    states = _socket(zmq.SUB, arguments.states)
    outputs = {name: _socket(zmq.PUB, address) for name, address in addresses.items()}
    cameras = {name: rig[name] for name in addresses}
    print(json.dumps({"ready": True, "cameras": addresses}), file=report, flush=True)
    try:
        serve(scene, cameras, states, outputs, arguments.rate)
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
