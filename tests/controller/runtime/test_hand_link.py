"""The link to the hand never raises in the tick, and reconnects a lost bus."""

import threading
from contextlib import AbstractContextManager

import numpy as np
import pytest

from inhand.controller.runtime import hand_link as link_module
from inhand.controller.runtime.hand_link import HandLink
from inhand.controller.system.clock import MonotonicClock
from inhand.hardware.backend import HandBackend
from inhand.hardware.errors import BusError, ServoError
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import JointState, Targets, frozen_array

HAND = load_hand("dactyl24")
REST = Targets(0.0, frozen_array(HAND.rest))


class FragileHand(HandBackend):
    """A hand that the test disconnects; it keeps the last command."""

    def __init__(self) -> None:
        self.hand = HAND
        self.plugged, self.open, self.deaf = True, True, False
        self.part, self.ill, self.deadline = "", "", 0.0
        self.torque: bool | None = None
        self.written = 0
        self.closings = 0

    @property
    def problem(self) -> str:
        return self.part

    def connect(self) -> None:
        self._reach()
        self.open = True

    def read(self, deadline: float | None = None) -> JointState:
        self._reach()
        if self.ill:
            raise ServoError(self.ill)
        self.deadline = deadline or 0.0
        zeros = frozen_array(np.zeros(HAND.n_actuators))
        return JointState(0.0, REST.position, zeros, zeros)

    def write(self, targets: Targets) -> Targets:
        self._reach(writing=True)
        self.written += 1
        return targets

    def set_torque(self, on: bool) -> None:
        self._reach(writing=True)
        self.torque = on

    def close(self) -> None:
        self.open = False
        self.closings += 1

    def _reach(self, writing: bool = False) -> None:
        if not self.plugged or (writing and self.deaf):
            raise BusError("the cable is out")


@pytest.fixture
def hand() -> FragileHand:
    return FragileHand()


@pytest.fixture
def link(hand: FragileHand, monkeypatch: pytest.MonkeyPatch) -> HandLink:
    monkeypatch.setattr(link_module, "RECONNECT_PAUSE", 0.01)
    return HandLink(hand)


def wait_for_the_search() -> None:
    for thread in threading.enumerate():
        if thread.name == "reconnect":
            thread.join()


def lose(link: HandLink, hand: FragileHand, torque: bool = True) -> None:
    hand.plugged = False
    for _ in range(3):
        assert link.read() is None
        assert link.write(torque, REST) is None


def test_torque_is_switched_once_and_targets_follow_it(link: HandLink, hand: FragileHand) -> None:
    assert link.write(False, REST) is None
    assert (hand.torque, hand.written) == (False, 0)
    assert link.write(True, REST) == REST
    assert (hand.torque, hand.written) == (True, 1)
    assert link.read() is not None and not link.problem


def test_the_deadline_reaches_the_hand_and_the_problem_of_a_part_is_reported(
    link: HandLink, hand: FragileHand
) -> None:
    hand.part = "no answer from servo 7"
    assert link.read(5.0) is not None and hand.deadline == 5.0
    assert link.problem == "no answer from servo 7"
    # The rest of the hand works: the bus is neither lost nor reconnected.
    link.seek()
    assert link.write(True, REST) == REST and hand.closings == 0 and not link.lost
    hand.part = ""
    assert link.read(6.0) is not None and link.problem == ""


def test_a_silent_link_only_reads(hand: FragileHand) -> None:
    link = HandLink(hand, silent=True)
    assert link.read() is not None
    assert link.write(True, REST) is None
    link.close(torque=False)
    assert hand.torque is None and hand.written == 0 and not hand.open


def test_errors_are_counted_and_named_not_raised(link: HandLink, hand: FragileHand) -> None:
    lose(link, hand)
    assert (link.errors, link.problem, link.lost) == (6, "the cable is out", True)
    hand.plugged = True
    assert link.read() is not None and link.problem == ""
    assert link.write(True, REST) == REST and not link.lost


def test_a_servo_that_shut_down_is_distinguished_from_a_bad_bus(
    link: HandLink, hand: FragileHand
) -> None:
    hand.ill = "servo 5 (FFJ2): overloaded"
    assert link.read() is None and link.servo_error == link.problem == hand.ill
    hand.ill, hand.plugged = "", False
    assert link.read() is None and link.servo_error == "" and link.problem == "the cable is out"
    hand.plugged, hand.ill = True, "servo 9 (RFJ4): overheated"
    assert link.read() is None and link.servo_error
    hand.ill = ""
    assert link.read() is not None and link.servo_error == link.problem == ""


def test_failed_commands_alone_count_as_a_lost_bus(link: HandLink, hand: FragileHand) -> None:
    hand.deaf = True
    for _ in range(3):
        assert not link.lost
        assert link.read() is not None
        link.write(True, REST)
    assert link.lost


def test_one_missed_read_does_not_close_the_bus(link: HandLink, hand: FragileHand) -> None:
    hand.plugged = False
    link.read()
    link.seek()
    hand.plugged = True
    assert link.read() is not None and hand.closings == 0


def test_a_lost_bus_is_reconnected_without_torque(link: HandLink, hand: FragileHand) -> None:
    link.write(True, REST)
    lose(link, hand)
    link.seek()
    link.seek()
    assert link.read() is None and link.write(True, REST) is None
    wait_for_the_search()
    assert link.read() is None and link.problem == "the cable is out"
    hand.plugged = True
    hand.torque = None
    link.seek()
    wait_for_the_search()
    assert link.read() is not None and not link.lost
    # The fault mode asks to hold, but the present joint positions are unknown.
    assert link.write(True, REST) is None and hand.torque is False
    assert link.write(False, REST) is None
    assert link.write(True, REST) == REST and hand.torque is True


@pytest.mark.parametrize("torque", [True, False])
def test_closing_sets_torque_as_requested(link: HandLink, hand: FragileHand, torque: bool) -> None:
    link.write(True, REST)
    link.close(torque=torque)
    assert hand.torque is torque and not hand.open
    link.close(torque=torque)
    assert hand.torque is torque


def test_closing_a_lost_hand_does_not_raise(link: HandLink, hand: FragileHand) -> None:
    lose(link, hand)
    link.seek()
    link.close(torque=False)
    assert not hand.open


def test_no_reconnection_after_simulated_time_has_ended(hand: FragileHand) -> None:
    class Ended(MonotonicClock):
        """The clock of a simulated world that is gone."""

        def aside(self) -> AbstractContextManager[None]:
            raise ConnectionRefusedError("gone")

    link = HandLink(hand, clock=Ended())
    hand.plugged = False
    for _ in range(3):
        assert link.read() is None
    link.seek()
    assert "simulated time has ended" in link.problem
    assert link.read() is None
