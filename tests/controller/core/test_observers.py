"""Exceptions of observers do not reach the tick; others end it in a controlled way."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from inhand.controller.core.observers import Observers
from inhand.controller.core.records import Event
from inhand.controller.core.requests import Estop, Hold
from inhand.controller.ipc.request_queue import PendingRequest
from inhand.controller.safety.modes import Mode
from tests.controller.looped import Looped
from tests.controller.served import Asker, Served


@pytest.fixture
def looped(tmp_path: Path) -> Iterator[Looped]:
    looped = Looped(tmp_path)
    yield looped
    looped.close()


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_failures_are_counted_and_reported_once() -> None:
    told: list[Event] = []
    observers = Observers(told.append)
    assert observers.call("a", lambda x: x + 1, 1) == 2 and observers.summary() == {}
    for number in range(3):
        assert observers.call("a", failing(ValueError(f"{number}\n" + "x" * 500))) is None
    observers.call("b", failing(KeyError("k")))
    said: Any = observers.summary()
    assert said["a"]["count"] == 3 and said["a"]["last"].startswith("ValueError: 2 xxx")
    assert len(said["a"]["last"]) == 200 and said["b"] == {"count": 1, "last": "KeyError: 'k'"}
    assert [event.data["observer"] for event in told] == ["a", "b"]


def test_an_exception_whose_text_fails_is_caught_too() -> None:
    class Nameless(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    observers = Observers(lambda event: None)
    observers.call("a", failing(Nameless()))
    assert observers.failures["a"].last == "Nameless"


@pytest.mark.parametrize("part", ["tape.write", "tape.checkpoint", "_publish_snapshot", "_count"])
def test_the_tick_continues_when_any_observer_fails(
    looped: Looped, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    looped.start(Mode.RUNNING)
    owner: Any = looped.loop.tape if part.startswith("tape") else looped.loop
    monkeypatch.setattr(owner, part.split(".")[-1], failing(OverflowError("too large")))
    before = looped.controller.snapshot().t
    looped.run(50)
    assert looped.controller.mode is Mode.RUNNING and not looped.loop.stop_reason
    assert looped.controller.snapshot().t > before + 0.4
    assert looped.ask("hold")["mode"] == "holding"
    (failures,) = looped.loop.observers.failures.values()
    assert failures.count >= 50 and failures.last == "OverflowError: too large"
    assert [event.kind for event in looped.events].count("observer_failed") == 1
    monkeypatch.undo()
    looped.run(10)
    (after,) = looped.loop.observers.failures.values()
    assert after.count == failures.count, "it works again"


def test_a_record_that_cannot_be_packed_is_lost_and_counted(looped: Looped) -> None:
    """A record that cannot be packed is lost, and the next one has a checkpoint."""
    looped.run(5)
    looped.request_queue.post(PendingRequest([b"me"], _Large(1, 1)))
    looped.run(5)
    assert looped.loop.observers.failures["recorder"].count == 1
    assert looped.loop.tape.lost == 1
    numbers = [record.n for record in looped.records]
    assert numbers == [1, 2, 3, 4, 5, 7, 8, 9, 10]


class _Large(Hold, frozen=True, tag="hold"):
    """A request whose members have no limits."""

    other: int = 2**64


def test_any_other_exception_ends_the_loop_with_an_answer_to_each(
    looped: Looped, monkeypatch: pytest.MonkeyPatch
) -> None:
    looped.start(Mode.RUNNING)
    monkeypatch.setattr(looped.controller, "hold", failing(ZeroDivisionError("a defect")))
    for number in range(3):
        looped.request_queue.post(PendingRequest([b"me"], Hold(1, number)))
    with pytest.raises(ZeroDivisionError):
        looped.run(5)
    assert looped.loop.stop_reason == "the tick failed: ZeroDivisionError('a defect')"
    replies = looped.collect()
    assert [reply["id"] for reply in replies] == [0, 1, 2]
    assert all("the tick failed" in reply["error"]["message"] for reply in replies)


def test_an_exception_after_the_requests_loses_no_answer(
    looped: Looped, monkeypatch: pytest.MonkeyPatch
) -> None:
    looped.start(Mode.HOLDING)
    monkeypatch.setattr(looped.controller, "tick", failing(ZeroDivisionError("a defect")))
    looped.request_queue.post(PendingRequest([b"me"], Estop(1, "stop")))
    with pytest.raises(ZeroDivisionError):
        looped.run(5)
    assert looped.collect() == [{"id": "stop", "ok": True, "mode": "estop"}]


def test_status_and_state_continue_when_a_part_fails(
    tmp_path: Path, context: "zmq.Context[zmq.Socket[bytes]]"
) -> None:
    with Served(tmp_path, statistics=failing(ValueError("no figures"))) as served:
        client = Asker(context, served.directory)
        while client.ask("status")["mode"] == "starting":
            pass
        status = client.ask("status")
        assert status["ok"] and status["mode"] == "off" and status["joints"]
        assert status["observer_errors"]["statistics"]["last"] == "ValueError: no figures"
        kinds = [event["kind"] for event in client.ask("events")["events"]]
        while "observer_failed" not in kinds:
            kinds = [event["kind"] for event in client.ask("events")["events"]]
        assert kinds.count("observer_failed") == 1 and not served.failures
