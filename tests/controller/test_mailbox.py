"""What passes between tick and server: bounded, and an emergency stop before all else."""

import select

from controller.mailbox import OVERTAKEN, QUEUE, Answer, Letter, Mailbox
from controller.protocol import Enable, Estop, Hold
from controller.records import Event


def letters(count: int) -> list[Letter]:
    return [Letter([b"me"], Hold(1, number)) for number in range(count)]


def test_requests_are_taken_in_order_and_a_few_at_a_time() -> None:
    mailbox = Mailbox()
    for letter in letters(10):
        assert mailbox.post(letter)
    taken = [mailbox.take(4), mailbox.take(4), mailbox.take(4), mailbox.take(4)]
    assert [[letter.request.id for letter in part] for part in taken] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
        [],
    ]
    mailbox.close()


def test_no_more_wait_than_the_queue_holds_but_emergency_stops_always_do() -> None:
    mailbox = Mailbox()
    posted = [mailbox.post(letter) for letter in letters(QUEUE + 2)]
    assert posted == [True] * QUEUE + [False] * 2
    assert all(mailbox.post(Letter([b"me"], Estop(1, n))) for n in range(3))
    assert [letter.request for letter in mailbox.take(1)] == [Estop(1, 0), Estop(1, 1), Estop(1, 2)]
    answers, _ = mailbox.collect()
    assert len(answers) == QUEUE and mailbox.take(8) == []
    mailbox.close()


def test_what_waited_is_refused_by_an_emergency_stop() -> None:
    mailbox = Mailbox()
    mailbox.post(Letter([b"you"], Enable(1, "e")))
    mailbox.post(Letter([b"me"], Estop(1, "s")))
    assert [letter.request.id for letter in mailbox.take(8)] == ["s"]
    assert mailbox.collect()[0] == [Answer([b"you"], "e", None, "refused", OVERTAKEN)]
    mailbox.close()


def test_the_server_is_woken_by_answers_and_events_only() -> None:
    mailbox = Mailbox()

    def awake() -> bool:
        return bool(select.select([mailbox.wake], [], [], 0)[0])

    mailbox.leave([], [])
    assert not awake()
    answer, event = Answer([b"me"], 1, {}), Event(0.0, "pose_old")
    mailbox.leave([answer], [event])
    mailbox.answer(answer)
    assert awake()
    assert mailbox.collect() == ([answer, answer], [event])
    assert not awake() and mailbox.collect() == ([], [])
    mailbox.close()
