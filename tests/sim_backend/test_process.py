"""The simulated hand as a process, reached through its serial line, its cameras and its socket."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq

from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.errors import BusError
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Targets, frozen_array
from inhand.perception import rotations
from inhand.perception.camera.sources import RenderedSource
from inhand.perception.cameras import load_rig
from inhand.perception.detection.detection import TagDetector
from inhand.perception.objects import load_object
from inhand.perception.parent import environment
from inhand.perception.pose.pose import estimate_poses
from inhand.sim_backend.rig import default_rig, rig_around, shifted_rig
from inhand.sim_backend.states import decode_state

HAND = load_hand("dactyl24")
BLOCK = load_object("block")
PATIENCE = 10.0
"""Longest time until a reply begins [s]: another process sends it, when it gets a processor."""


def start(directory: Path, *more: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "inhand.sim_backend", "--run-dir", str(directory)]
    command += ["--hand", "dactyl24", "--object", "block", "--seed", "3", *more]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment())


@contextmanager
def started(directory: Path, *more: str) -> Iterator[dict[str, Any]]:
    """The process, and what it says of itself, with its number."""
    process = start(directory, *more)
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 300)[0]
    yield json.loads(process.stdout.readline()) | {"pid": process.pid}
    process.terminate()
    assert process.wait(120) == 0


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with started(tmp_path_factory.mktemp("station")) as station:
        yield station


@pytest.fixture(scope="module")
def servos(station: dict[str, Any]) -> Iterator[ServoHand]:
    servos = ServoHand(HAND, station["bus"], 4_000_000, PATIENCE, watchdog=0.0)
    servos.connect()
    yield servos
    servos.close()


def ask(station: dict[str, Any], **request: object) -> dict[str, Any]:
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.set(zmq.LINGER, 0)
        socket.connect(station["world"])
        socket.send(msgspec.json.encode(request))
        assert socket.poll(120_000)
        reply: dict[str, Any] = msgspec.json.decode(socket.recv())
        return reply


def wait(what: Callable[[], object]) -> None:
    """Waits until something holds: on a busy machine the world's time slips behind ours."""
    deadline = time.monotonic() + 120.0
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def settle(servos: ServoHand, target: np.ndarray[Any, Any]) -> None:
    """Commands a pose, and waits until the hand is near it; the block in it pushes some joints."""
    servos.write(Targets(time.monotonic(), frozen_array(target)))
    wait(lambda: np.abs(servos.read().position - target).max() < 0.3)


def test_the_hand_follows_commands_on_the_line(station: dict[str, Any], servos: ServoHand) -> None:
    servos.set_torque(True)
    # Fingers that open: those that close may have the block in their way.
    for offset in (-0.3, 0.0):
        target = HAND.rest.copy()
        target[[3, 10]] += offset
        settle(servos, target)

        def arrived(target: np.ndarray[Any, Any] = target) -> bool:
            measured = servos.read().position
            joints = np.array(ask(station, type="state")["joints"])[list(HAND.driven_joint)]
            near = np.abs(measured - target)[[3, 10]].max() < 0.1
            return bool(near and np.abs(measured - joints).max() < 0.02)

        wait(arrived)


def test_an_answer_has_the_time_of_the_state_that_frames_have(station: dict[str, Any]) -> None:
    """An evaluation finds the true pose of a frame by its time, also if the world is late."""
    address = station["world"].replace("/world.sock", "/world-states.sock")
    with zmq.Context() as context, context.socket(zmq.SUB) as states:
        states.subscribe(b"")
        states.connect(address)
        assert states.poll(120_000)
        for _ in range(10):
            # The block turns as it falls, so that each state is another one.
            ask(station, type="place", quaternion=[1.0, 0.0, 0.0, 0.0])
            answer = ask(station, type="state")
            while (state := decode_state(states.recv())).t < answer["t"]:
                continue
            assert state.t == answer["t"]
            assert list(state.quaternion) == answer["quaternion"]
            assert list(state.position) == answer["position"]


def test_cameras_see_the_block_where_the_world_has_it(
    station: dict[str, Any], servos: ServoHand
) -> None:
    servos.set_torque(True)
    settle(servos, HAND.rest)
    quaternion = rotations.random_quaternion(np.random.default_rng(1))
    assert ask(station, type="place", quaternion=quaternion.tolist()) == {"ok": True}
    # It comes to rest first, and the frames are of nearly one instant then.
    wait(lambda: is_seen_where_it_is(station))


def is_seen_where_it_is(station: dict[str, Any]) -> bool:
    rig = load_rig(station["rig"])
    corners = []
    for name, address in station["cameras"].items():
        source = RenderedSource.open(address)
        frame, began = None, time.monotonic()
        # Stamps are of this machine's clock: one of them is later than the beginning, and none is
        # later than now.
        while frame is None or frame.t < began:
            frame = source.read(0.5)
            assert time.monotonic() < began + 120
        assert frame.t <= time.monotonic()
        corners.append(TagDetector(rig[name], BLOCK).detect(frame.image, frame.t))
    state = ask(station, type="state")
    assert not state["dropped"]
    estimates = estimate_poses(BLOCK, rig, corners)
    if not estimates:
        return False  # it is still falling: the frames show it at different places
    estimate = estimates[0]
    away = np.abs(estimate.position - state["position"]).max()
    turned = rotations.angle_between(estimate.quaternion, np.array(state["quaternion"]))
    return bool(away < 2e-3 and turned < 0.05)


def test_the_hand_stops_without_packets(station: dict[str, Any], servos: ServoHand) -> None:
    hasty = ServoHand(HAND, station["bus"], 4_000_000, PATIENCE, watchdog=0.1)
    servos.close()
    try:
        hasty.connect()
        hasty.set_torque(True)
        for target in (HAND.rest, HAND.rest + 0.1):
            with suppress(BusError):
                hasty.write(Targets(time.monotonic(), frozen_array(target)))

        def stopped() -> bool:
            # On a busy machine the world's time slips behind ours.
            time.sleep(1.0)
            try:
                hasty.read()
            except BusError as error:
                return "the servos have stopped: their bus watchdog" in str(error)
            return False

        wait(stopped)
        hasty.set_torque(False)
    finally:
        hasty.close()
        servos.connect()
    servos.read()


def test_a_reset_puts_hand_and_block_back(station: dict[str, Any], servos: ServoHand) -> None:
    servos.set_torque(False)
    assert ask(station, type="reset", quaternion=[1, 0, 0, 0]) == {"ok": True}
    # Without torque the hand gives way at once, but not far in this time.
    state = ask(station, type="state")
    np.testing.assert_allclose(np.array(state["joints"]), HAND.joint_angles(HAND.rest), atol=0.2)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"type": "fly"}, "unknown request 'fly'; there are place, reset and state"),
        ({"type": "place", "quaternion": [1, 1, 0, 0]}, "of length 1"),
        ({"type": "place", "quaternion": "up"}, "world:"),
    ],
)
def test_requests_that_make_no_sense_are_refused(
    station: dict[str, Any], request_: dict[str, object], error: str
) -> None:
    reply = ask(station, **request_)
    assert reply["ok"] is False
    assert error in reply["error"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--universe", "/nowhere.toml"], "error: universe file /nowhere.toml: No such file"),
        (["--hand", "mitten"], "mitten"),
        (["--object", "ball"], "ball"),
    ],
)
def test_a_wrong_start_ends_with_a_one_line_error(
    tmp_path: Path, arguments: list[str], error: str
) -> None:
    process = start(tmp_path, *arguments)
    _, said = process.communicate(timeout=120)
    assert process.returncode != 0
    assert error in said.decode().strip().splitlines()[-1]


def test_cameras_as_they_are_differ_from_the_calibration_by_what_the_universe_says() -> None:
    rig = default_rig()
    same = shifted_rig(rig, Universe(), np.random.default_rng(1))
    for name, camera in rig.items():
        np.testing.assert_allclose(same[name].matrix, camera.matrix)
        np.testing.assert_allclose(same[name].position, camera.position)
        assert rotations.angle_between(same[name].quaternion, camera.quaternion) < 1e-7
    universe = Universe(camera_shift=(0.01, 0.05), camera_focal=0.02)
    moved = [shifted_rig(rig, universe, np.random.default_rng(seed))["left"] for seed in range(300)]
    left = rig["left"]
    positions = np.array([camera.position - left.position for camera in moved])
    np.testing.assert_allclose(positions.std(axis=0), 0.01, rtol=0.2)
    focal = np.array([camera.focal_length / left.focal_length for camera in moved])
    assert focal.std() == pytest.approx(0.02, rel=0.2)
    turns = [rotations.angle_between(camera.quaternion, left.quaternion) for camera in moved]
    assert np.sqrt(np.mean(np.square(turns)) / 3) == pytest.approx(0.05, rel=0.2)


def test_the_world_takes_the_priority_that_is_allowed_and_nothing_else_does(
    tmp_path: Path,
) -> None:
    allowed = subprocess.run(["chrt", "--fifo", "1", "true"], capture_output=True).returncode == 0
    with started(tmp_path, "--priority", "1") as station:
        world = station["pid"]
        policy = os.sched_getscheduler(world) & ~os.SCHED_RESET_ON_FORK
        assert policy == (os.SCHED_FIFO if allowed else os.SCHED_OTHER)
        assert os.sched_getparam(world).sched_priority == int(allowed)
        (renderer,) = Path(f"/proc/{world}/task/{world}/children").read_text().split()
        # A process that was just made has its parent's policy until it has started its program.
        wait(lambda: os.sched_getscheduler(int(renderer)) == os.SCHED_OTHER)


def test_the_cameras_stand_around_any_hand() -> None:
    rig = rig_around(HAND)
    for name, camera in default_rig().items():
        np.testing.assert_array_equal(rig[name].position, camera.position)
        np.testing.assert_array_equal(rig[name].quaternion, camera.quaternion)
    leap = load_hand("leap")
    for camera in rig_around(leap).values():
        pixels = camera.project(np.array([leap.workspace.center]))
        assert np.linalg.norm(pixels - [camera.width / 2, camera.height / 2]) < 10
