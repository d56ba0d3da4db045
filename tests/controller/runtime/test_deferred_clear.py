"""`clear` while a servo has an error: it waits, is carried out, is overtaken, or is refused."""

import numpy as np

from inhand.controller.core.requests import Clear, Estop
from inhand.controller.ipc.request_queue import PendingRequest
from inhand.controller.runtime.deferred_clear import PATIENCE, DeferredClear
from inhand.controller.safety.modes import Mode
from inhand.hardware.records import JointState, frozen_array

ILL = "servo 5 (FFJ2): overloaded"
JOINTS = JointState(0.0, *(frozen_array(np.zeros(3)) for _ in range(3)))
SILENT = JointState(0.0, *(frozen_array([0.0, np.nan, 0.0]) for _ in range(3)))


def held() -> tuple[DeferredClear, PendingRequest]:
    deferred, pending = DeferredClear(), PendingRequest([b"me"], Clear(v=1, id=1))
    deferred.hold(pending, ILL, Mode.FAULT, 10.0)
    return deferred, pending


def test_it_waits_for_the_servo_and_for_every_joint() -> None:
    deferred, pending = held()
    assert deferred.ready(ILL, JOINTS) == []
    assert deferred.ready("", None) == deferred.ready("", SILENT) == []
    assert deferred.ready("", JOINTS) == [pending]
    assert deferred.ready("", JOINTS) == [] and deferred.problem == ILL


def test_an_emergency_stop_overtakes_it() -> None:
    for taken, mode in (
        ([PendingRequest([b"you"], Estop(v=1, id=2))], Mode.FAULT),
        ([], Mode.ESTOP),
    ):
        deferred, _ = held()
        (refused,) = deferred.overtaken(taken, mode)
        assert refused.id == 1 and refused.result is None and "emergency stop" in refused.message
        assert deferred.ready("", JOINTS) == []


def test_it_is_refused_by_name_if_the_servo_does_not_recover() -> None:
    deferred, _ = held()
    assert deferred.overtaken([], Mode.FAULT) == deferred.expired(10.0 + 0.9 * PATIENCE) == []
    (refused,) = deferred.expired(10.0 + PATIENCE)
    assert refused.code == "not_ready" and ILL in refused.message
    assert deferred.expired(99.0) == []
