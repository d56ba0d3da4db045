"""A page is refused where it cannot be served; viser would wait without an end."""

import pytest

from inhand.controller.errors import ConfigError
from inhand.controller.view.address import check_address
from inhand.controller.view.hand_page import HandPage
from inhand.controller.view.live import LiveFeed
from inhand.controller.view.page import Page
from inhand.hardware.model.hand import load_hand


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("127.0.0.1", -1, "--port -1 must lie in 0..65535"),
        ("127.0.0.1", 65_536, "--port 65536 must lie"),
        ("192.0.2.1", 8080, "cannot serve on 192.0.2.1"),
        ("2001:db8::1", 8080, "cannot serve on 2001:db8::1"),
        ("nowhere.invalid", 8080, "cannot serve on nowhere.invalid"),
    ],
)
def test_addresses_that_cannot_be_had(host: str, port: int, words: str) -> None:
    with pytest.raises(ConfigError, match=f"^page: {words}") as refused:
        check_address(host, port)
    assert "\n" not in str(refused.value)


def test_both_pages_refuse_them() -> None:
    pages = (
        HandPage(load_hand("dactyl24"), host="127.0.0.1", port=-1),
        Page(LiveFeed(None, None), host="127.0.0.1", port=-1),
    )
    for page in pages:
        with pytest.raises(ConfigError, match="--port -1"):
            page.open()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_addresses_of_this_machine(host: str) -> None:
    check_address(host, 0)
