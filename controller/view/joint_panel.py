"""The part of the panel that commands joints: a slider for each actuator, in mode `manual`."""

from collections.abc import Callable
from math import isfinite
from typing import TypeGuard

from viser import ClientHandle, GuiApi, GuiEvent, GuiSliderHandle

from inhand.controller.errors import ClientError, ConfigError, RefusedError
from inhand.controller.view.joint_driver import JointDriver
from inhand.hardware.model.hand import Hand

_STEP = 0.01
"""Of a slider [rad]."""

_SLOWEST, _FASTEST = 0.1, 3.0
"""Bounds of the speed [rad/s]."""


class JointPanel:
    """Adds the controls.

    Args:
        gui: where they are added.
        hand: the hand.
        driver: commands the joints.
        connected: identifiers of the browsers that have the page open.
        tell: shows a text in a browser; true: as a refusal.
    """

    def __init__(
        self,
        gui: GuiApi,
        hand: Hand,
        driver: JointDriver,
        connected: Callable[[], "set[int]"],
        tell: Callable[[ClientHandle | None, str, bool], None],
    ) -> None:
        self._driver, self._connected, self._tell = driver, connected, tell
        gui.add_markdown(
            "The sliders move the targets of single joints, within all limits. Fingers are not "
            "kept clear of one another. When you leave the page, the hand holds."
        )
        begin = gui.add_button("Command joints")
        begin.on_click(lambda event: self._begin(event.client))
        end = gui.add_button("Stop commanding joints")
        end.on_click(lambda _: driver.stop())
        speed = gui.add_slider("speed [rad/s]", _SLOWEST, _FASTEST, 0.1, driver.speed)
        speed.on_update(lambda _: self._choose_speed(speed.value))
        self._sliders = {
            name: self._slider(gui, name, low, high, rest)
            for name, low, high, rest in zip(
                hand.actuator_names, hand.lower, hand.upper, hand.rest, strict=True
            )
        }

    def _slider(
        self, gui: GuiApi, name: str, low: float, high: float, rest: float
    ) -> "GuiSliderHandle[float]":
        slider = gui.add_slider(name, float(low), float(high), _STEP, float(rest), disabled=True)

        def moved(event: "GuiEvent[GuiSliderHandle[float]]") -> None:
            # Without a client, the value was set by this program. A browser can send anything.
            angle = slider.value
            if event.client is None or not self._driver.active or not _is_number(angle):
                return
            self._driver.aim(name, min(max(float(angle), low), high))

        slider.on_update(moved)
        return slider

    def _choose_speed(self, value: object) -> None:
        if _is_number(value):
            self._driver.speed = min(max(float(value), _SLOWEST), _FASTEST)

    def _begin(self, client: ClientHandle | None) -> None:
        if client is None or self._driver.active:
            return
        number = client.client_id
        try:
            targets = self._driver.start(
                lambda: number in self._connected(), lambda reason: self._end(client, reason)
            )
        except (ClientError, ConfigError, RefusedError) as error:
            self._tell(client, str(error), True)
            return
        for slider, target in zip(self._sliders.values(), targets, strict=True):
            slider.value = float(target)  # type: ignore[misc]  # no setter in viser's stubs
            slider.disabled = False
        self._tell(client, "the sliders command the joints", False)

    def _end(self, client: ClientHandle, reason: str) -> None:
        for slider in self._sliders.values():
            slider.disabled = True
        if client.client_id in self._connected():
            self._tell(client, reason or "the hand holds", bool(reason))


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
