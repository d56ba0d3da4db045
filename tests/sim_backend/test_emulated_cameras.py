"""`inhand emulate --cameras`: other programs see the hand that they move."""

import subprocess
import sys
import time
import tomllib
from pathlib import Path

from inhand.perception.camera.open_source import open_source
from inhand.perception.cameras import load_rig
from inhand.perception.detection.detection import TagDetector
from inhand.perception.objects import load_object
from inhand.perception.parent import environment

PATIENCE = 120.0
"""Longest time that a busy machine needs [s]."""


def test_every_camera_shows_the_tags_of_the_object(tmp_path: Path) -> None:
    folder = tmp_path / "cameras"
    command = [sys.executable, "-m", "inhand", "emulate", "--port-link", str(tmp_path / "hand")]
    process = subprocess.Popen(
        [*command, "--physics", "--cameras", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert "20 servos" in process.stdout.readline()
        # What it prints is a table [cameras].
        told = tomllib.loads(process.stdout.readline() + process.stdout.readline())
        assert process.stdout.readline() == "Ctrl-C ends it\n"
        rig, block = load_rig(told["rig"]), load_object("block")
        assert list(told["sources"]) == list(rig)
        for name, address in told["sources"].items():
            camera = rig[name]
            source = open_source(address, (camera.width, camera.height))
            detector = TagDetector(camera, block)
            # Without torque the hand lets go of the object.
            process.stdin.write("place\n")
            process.stdin.flush()
            assert process.stdout.readline() == "the object is in the hand\n"
            deadline, seen = time.monotonic() + PATIENCE, False
            while not seen:
                assert time.monotonic() < deadline
                if (frame := source.read(1.0)) is not None:
                    assert 0.0 < time.monotonic() - frame.t < PATIENCE
                    seen = len(detector.detect(frame.image, frame.t).ids) > 0
            source.close()
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and not folder.exists()
