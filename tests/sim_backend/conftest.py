"""A port of the stock SDK on the emulated bus; the file of the test has the fixture `line`."""

from collections.abc import Iterator

import pytest
from dynamixel_sdk import PortHandler

from tests.sim_backend.wires import Wires


@pytest.fixture
def port(line: Wires, monkeypatch: pytest.MonkeyPatch) -> Iterator[PortHandler]:
    # The SDK waits twice as long [ms] for each reply: others use this machine too.
    monkeypatch.setattr("dynamixel_sdk.port_handler.LATENCY_TIMER", 500)
    port = PortHandler(line.port)
    assert port.openPort()
    yield port
    port.closePort()
