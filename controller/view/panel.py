"""The panel of the page: text, curves, pictures and buttons."""

from collections.abc import Callable, Mapping
from math import degrees

import numpy as np
from viser import (
    ClientHandle,
    GuiApi,
    GuiHtmlHandle,
    GuiImageHandle,
    GuiUplotHandle,
    ViserServer,
    uplot,
)

from inhand.controller.client.connection import Message
from inhand.controller.ipc.telemetry import as_pace
from inhand.controller.view.fragments import goals_html, servos_html, world_html
from inhand.controller.view.view_model import History, Moment, Picture, Setting
from inhand.hardware.records import Array

Ask = Callable[[ClientHandle | None, str, dict[str, object]], None]
"""Sends a request for the browser whose button was pressed, and shows the result there."""

REQUESTS = ("enable", "home", "arm", "hold", "cancel", "disarm", "disable", "clear")
_RED, _TEAL, _GREY = "#d64f4f", "#2a9d8f", "#8a8f98"

_OF_GOALS = {"angle to the goal [deg]": {"error": _RED}, "goals in a row": {"row": _TEAL}}
_OF_HAND = {
    "currents, largest and mean [A]": {"current": _RED, "mean_current": _GREY},
    "hottest servo [°C]": {"temperature": _RED},
    "latest ticks' largest lateness [ms]": {"lateness": _TEAL},
}
"""Titles of the plots, with the colours of their curves."""


class Panel:
    """Everything beside the scene.

    Attributes:
        pictures_wanted: whether the cameras' pictures are to be shown.
    """

    def __init__(
        self,
        server: ViserServer,
        setting: Setting,
        *,
        ask: Ask | None,
        command: bool,
        controls: Callable[[GuiApi], None],
        for_all: Callable[[str], None],
        add_joints: Callable[[GuiApi], object] | None = None,
    ) -> None:
        """Builds it.

        Args:
            server: the page's.
            setting: hand and object.
            ask: sends a request; None if there is no daemon to send it to.
            command: whether requests other than the emergency stop are offered.
            controls: adds the feed's controls.
            for_all: called with the identifier of each button that every browser may press.
            add_joints: adds the controls that command joints; None: they are not offered.
        """
        gui = server.gui
        gui.reset()
        self._gui, self._setting = gui, setting
        if ask is not None:
            self._add_stop(ask, for_all)
        self._words = gui.add_markdown("")
        controls(gui)
        tabs = gui.add_tab_group()
        self.ghost: Callable[[], Array] = lambda: np.array([1.0, 0.0, 0.0, 0.0])
        if ask is not None and command:
            with tabs.add_tab("Command"):
                self._add_commands(ask)
        if add_joints is not None and command:
            with tabs.add_tab("Joints"):
                add_joints(gui)
        with tabs.add_tab("Goals"):
            self._goals = gui.add_html("")
            self._goal_plots = self._add_plots(_OF_GOALS)
        with tabs.add_tab("Servos"):
            self._servos = gui.add_html("")
            self._world = gui.add_html("")
            names = setting.hand.actuator_names
            self._joint = gui.add_dropdown("servo", names)
            self._joint_plot = self._plot(
                "angle and target [deg]", {"position": _TEAL, "target": _GREY}
            )
            self._servo_plots = self._add_plots(_OF_HAND)
        with tabs.add_tab("Cameras"):
            self._look = gui.add_checkbox("pictures", True)
            blank = np.full((240, 320, 3), 40, np.uint8)
            self._pictures = {
                name: gui.add_image(blank, label=name, format="jpeg", jpeg_quality=75)
                for name in setting.cameras
            }
            self._shown: dict[str, int] = {}
        gui.add_markdown(
            "Solid: the estimated pose, with an ellipsoid of three standard deviations. Edges: "
            "orange for the pose in the cameras' last pictures, blue for the true pose "
            "(simulation only)."
        )

    @property
    def pictures_wanted(self) -> bool:
        return bool(self._look.value)

    def say(self, moment: Moment | None, problem: str) -> None:
        """Shows the state as text."""
        text = words(moment, problem)
        if text != self._words.content:
            self._words.content = text

    def draw(self, history: History, moment: Moment | None) -> None:
        """Draws the past goals, the servos and the curves."""
        curves = history.curves()
        t = curves["t"]
        _show(self._goals, goals_html(history.goals()))
        if moment is not None:
            _show(self._servos, servos_html(self._setting.hand, moment.state))
            _show(self._world, world_html(moment.state["policy"]))
        for names, plot in (self._goal_plots | self._servo_plots).items():
            plot.data = (t, *(curves[name] for name in names))
        # A browser can send any text.
        names = self._setting.hand.actuator_names
        actuator = names.index(self._joint.value) if self._joint.value in names else 0
        self._joint_plot.data = (t, *history.joint(actuator))

    def show_pictures(self, pictures: Mapping[str, Picture]) -> None:
        """Shows the cameras' pictures that are new."""
        for name, picture in pictures.items():
            handle: GuiImageHandle | None = self._pictures.get(name)
            if handle is not None and self._shown.get(name) != id(picture):
                self._shown[name] = id(picture)
                handle.image = picture

    def _add_stop(self, ask: Ask, for_all: Callable[[str], None]) -> None:
        stop = self._gui.add_button("EMERGENCY STOP", color="red")
        for_all(stop._impl.uuid)
        stop.on_click(lambda event: ask(event.client, "estop", {}))
        key = self._gui.add_command("emergency stop", hotkey="escape")
        for_all(key._impl.uuid)
        key.on_trigger(lambda event: ask(event.client, "estop", {}))

    def _add_commands(self, ask: Ask) -> None:
        gui = self._gui
        buttons = gui.add_button_group("mode", REQUESTS)
        buttons.on_click(lambda event: _ask_listed(ask, event.client, buttons.value))
        key = gui.add_command("hold", hotkey="space")
        key.on_trigger(lambda event: ask(event.client, "hold", {}))
        faces = gui.add_button_group("face up", tuple(self._setting.target.faces))
        faces.on_click(
            lambda event: ask(event.client, "goal", {"face": faces.value, "replace": True})
        )
        turned = gui.add_button("Go to the ghost's orientation")
        turned.on_click(
            lambda event: ask(
                event.client, "goal", {"quaternion": self.ghost().tolist(), "replace": True}
            )
        )
        goals = gui.add_button("Random goals without end")
        goals.on_click(lambda event: ask(event.client, "random_goals", {"replace": True}))
        if self._setting.simulated:
            place = gui.add_button("Put the object back (simulation)")
            place.on_click(lambda event: ask(event.client, "place", {}))
        gui.add_markdown(
            "Drag the rings of the ghost to turn it. Keys: **space** holds, **Esc** is the "
            "emergency stop."
        )

    def _add_plots(
        self, plots: Mapping[str, Mapping[str, str]]
    ) -> dict[tuple[str, ...], GuiUplotHandle]:
        return {tuple(series): self._plot(title, series) for title, series in plots.items()}

    def _plot(self, title: str, series: Mapping[str, str]) -> GuiUplotHandle:
        lines = [
            uplot.Series(label=name, stroke=colour, width=2) for name, colour in series.items()
        ]
        empty = np.zeros(1)
        return self._gui.add_uplot(
            (empty,) * (1 + len(series)),
            (uplot.Series(label="t [s]"), *lines),
            title=title,
            scales={"x": uplot.Scale(time=False, auto=True), "y": uplot.Scale(auto=True)},
            legend=uplot.Legend(show=len(series) > 1),
            aspect=2.6,
        )


def _show(place: GuiHtmlHandle, content: str) -> None:
    # What did not change is not sent again.
    if content != place.content:
        place.content = content


def _ask_listed(ask: Ask, client: ClientHandle | None, request: str) -> None:
    """Sends one of the requests of the buttons; a browser can send any text."""
    if request in REQUESTS:
        ask(client, request, {})


def words(moment: Moment | None, problem: str) -> str:
    """The state in Markdown, with a fixed number of lines, so that the page below does not move."""
    lines = [f"**{problem}**"] if problem else []
    if moment is None:
        return "\n\n".join(lines) or "waiting for the first state"
    state = moment.state
    held = "in the hand" if state["object"]["in_hand"] else "not in the hand"
    pose = state["object"]["pose"]
    lines.append(f"### {state['mode']}\n{state['reason']}")
    seen = f"seen {pose['age']:.2f} s ago{_uncertainty(pose)}" if pose else "never seen"
    lines.append(f"object {held}, {seen}")
    goal = state["goal"]
    lines.append(
        f"goal {goal['number']}: **{degrees(goal['error']):.0f}°** to go, {goal['seconds']:.1f} s"
        if goal
        else "no goal"
    )
    lines.append(
        f"reached {state['reached']} (**{moment.row} in a row**), missed {state['missed']}, "
        f"dropped {state['dropped']}, waiting {state['waiting']}"
    )
    tick = moment.statistics.get("tick")
    if tick and "recent_on_time_share" in tick:
        lines.append(f"pace: {as_pace(moment.statistics)}")
    lines += _troubles(moment.statistics)
    return "\n\n".join(lines)


def _uncertainty(pose: Message) -> str:
    deviation = pose["deviation"]
    return f", ±{1e3 * max(deviation[:3]):.1f} mm, ±{degrees(max(deviation[3:6])):.1f}°"


def _troubles(statistics: Message) -> list[str]:
    cameras = statistics.get("cameras", {})
    said = [f"camera {name}: {seen['problem']}" for name, seen in cameras.items()]
    said = [text for text, seen in zip(said, cameras.values(), strict=True) if seen["problem"]]
    for name, fit in statistics.get("fusion", {}).get("cameras", {}).items():
        if fit["problem"]:
            said.append(f"camera {name} {fit['problem']}")
    for part in ("tags", "fusion", "bus"):
        if problem := statistics.get(part, {}).get("problem"):
            said.append(f"{part}: {problem}")
    return [f"**{text}**" for text in said]
