"""Statistics of a run: members of `status`, and the text at the daemon's end."""

import json
import socket
from pathlib import Path

import msgspec

from inhand.controller.ipc.request_queue import RequestQueue
from inhand.controller.recording.tick_record import RecordSender
from inhand.controller.runtime.camera_inbox import CameraInbox
from inhand.controller.runtime.fit_watch import FitWatch
from inhand.controller.runtime.hand_link import HandLink
from inhand.controller.runtime.loop import TickLoop
from inhand.controller.runtime.processes import SimulationReady
from inhand.controller.runtime.report import exit_report, statistics
from inhand.controller.system.clock import VirtualClock
from inhand.controller.system.ticker import Ticker
from inhand.perception.records import CameraStatus
from tests.controller.bench_hand import BLOCK, Bench, learned
from tests.controller.runtime.test_hand_link import FragileHand


def test_the_statistics_of_a_run(tmp_path: Path) -> None:
    bench = Bench(learned(tmp_path))
    inbox = CameraInbox(tmp_path, ["left"]).open()
    inbox.status["left"] = CameraStatus(1.0, "left", 5, 0.01, 15.0, 0.002, "too dark")
    world = SimulationReady(True, "/dev/pts/9", "rig.toml", {}, "ipc://world")
    controller = bench.controller
    line, _end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request_queue, ticker = RequestQueue().open(), Ticker(VirtualClock(), 0.01)
    loop = TickLoop(
        controller, HandLink(FragileHand()), inbox, request_queue, ticker, RecordSender(line)
    )
    loop.tape.lost = 3
    loop.sections["read"].add(0.002)
    ticker.statistics.add(0.0, 0.002, 0.01, 1, 0.0101)
    fit = FitWatch(BLOCK, {})
    fit.problem = "tags [0] are seen"
    said = statistics(loop, world, fit)
    said = json.loads(msgspec.json.encode(said))
    assert said["tick"]["ticks"] == 1 and said["tick"]["recent_on_time_share"] == 0.5
    assert said["tick"]["last_on_time_share"] == 0.5
    assert said["tick"]["period"]["max"] == 0.0101
    assert said["tick"]["sections"]["read"]["max"] == 0.002
    assert said["cameras"]["left"]["problem"] == "too dark"
    assert said["tags"] == {"problem": "tags [0] are seen"}
    assert said["fusion"] == {
        "accepted": 0,
        "rejected": 0,
        "late": 0,
        "recoveries": 0,
        "problem": "",
        "cameras": {},
    }
    assert said["bus"] == {"errors": 0, "problem": ""} and said["world"] == "ipc://world"
    assert said["policy_latency"]["max"] == 0.0
    assert said["recorder"] == {"lost": 3, "problem": ""}
    loop.stop("SIGTERM"), loop.stop("the first reason stands")
    lines = exit_report(loop).splitlines()
    assert lines[0] == "inhandd ended: SIGTERM"
    assert lines[1] == "ticks: 1, skipped 1, on time 50.00 %"
    assert "  read: mean 2.000" in lines[5]
    memory = lines[9].removeprefix("memory: ").removesuffix(" MB resident at most")
    assert 10 < float(memory) < 10_000
    assert lines[-2].startswith("policy: 0 steps") and lines[-1] == "goals: 0 reached, 0 missed"
    controller.operation.policy = None
    without = statistics(loop, None, fit)
    assert without["policy_latency"] is None and without["world"] is None
    inbox.close(), line.close(), request_queue.close()
