"""The queues between tick and server: bounded, with emergency stops first."""

import select

from inhand.controller.core.records import Event
from inhand.controller.core.requests import Enable, Estop, GoalAim, Goals, Hold, Home
from inhand.controller.ipc.request_queue import (
    OVERTAKEN,
    QUEUE,
    Answer,
    PendingRequest,
    RequestQueue,
)


def pending_requests(count: int) -> list[PendingRequest]:
    return [PendingRequest([b"me"], Home(1, number)) for number in range(count)]


def test_requests_are_taken_in_order_and_a_few_at_a_time() -> None:
    request_queue = RequestQueue().open()
    for pending in pending_requests(10):
        assert request_queue.post(pending)
    taken = [
        request_queue.take(4),
        request_queue.take(4),
        request_queue.take(4),
        request_queue.take(4),
    ]
    assert [[pending.request.id for pending in part] for part in taken] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
        [],
    ]
    request_queue.close()


def test_the_queue_is_bounded_except_for_emergency_stops() -> None:
    request_queue = RequestQueue().open()
    posted = [request_queue.post(pending) for pending in pending_requests(QUEUE + 2)]
    assert posted == [True] * QUEUE + [False] * 2
    assert all(request_queue.post(PendingRequest([b"me"], Estop(1, n))) for n in range(3))
    assert [pending.request for pending in request_queue.take(1)] == [
        Estop(1, 0),
        Estop(1, 1),
        Estop(1, 2),
    ]
    answers, _ = request_queue.collect()
    assert len(answers) == QUEUE and request_queue.take(8) == []
    request_queue.close()


def test_an_emergency_stop_refuses_waiting_requests() -> None:
    request_queue = RequestQueue().open()
    request_queue.post(PendingRequest([b"you"], Enable(1, "e")))
    request_queue.post(PendingRequest([b"me"], Estop(1, "s")))
    assert [pending.request.id for pending in request_queue.take(8)] == ["s"]
    assert request_queue.collect()[0] == [Answer([b"you"], "e", None, "refused", OVERTAKEN)]
    request_queue.close()


def test_the_server_is_woken_by_answers_and_events_only() -> None:
    request_queue = RequestQueue().open()

    def awake() -> bool:
        return bool(select.select([request_queue.wake], [], [], 0)[0])

    request_queue.leave([], [])
    assert not awake()
    answer, event = Answer([b"me"], 1, {}), Event(0.0, "pose_old")
    request_queue.leave([answer], [event])
    request_queue.answer(answer)
    assert awake()
    assert request_queue.collect() == ([answer, answer], [event])
    assert not awake() and request_queue.collect() == ([], [])
    request_queue.close()


def goals(id: int, count: int) -> PendingRequest:
    return PendingRequest([b"me"], Goals(1, id, goals=[GoalAim(face="+x")] * count))


def test_a_tick_takes_a_limited_amount_of_work() -> None:
    request_queue = RequestQueue().open()
    for pending in (
        goals(0, 1000),
        goals(1, 1000),
        *pending_requests(2),
        goals(4, 300),
        *pending_requests(9),
    ):
        assert request_queue.post(pending)
    taken = [len(request_queue.take(8)) for _ in range(5)]
    assert taken == [1, 1, 6, 6, 0]
    posted = [request_queue.post(goals(n, 1000)) for n in range(QUEUE)]
    assert posted == [True] * (QUEUE // 8) + [False] * (QUEUE - QUEUE // 8)
    assert request_queue.post(PendingRequest([b"me"], Hold(1, 1))), "a stop is always taken"
    request_queue.close()
