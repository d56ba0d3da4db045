"""The page of `inhand hand show`: a hand file without a daemon, whose joints can be dragged."""

import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import numpy as np
from viser import (
    ClientHandle,
    GuiMarkdownHandle,
    GuiSliderHandle,
    TransformControlsHandle,
    ViserServer,
)

from inhand.controller.view.address import check_address
from inhand.controller.view.guard import Guard, note_client
from inhand.controller.view.hand_model import HandModel
from inhand.controller.view.hand_shapes import PALM, SKIN
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.stl import read_stl
from inhand.hardware.records import Array
from inhand.perception import rotations

Colliding = Callable[[Array], list[tuple[str, str]]]
"""Pairs of links that overlap at these actuator angles [rad], (n_actuators,)."""

_RED, _AXIS, _LIMIT = (220, 60, 50), (30, 90, 220), (240, 150, 40)
_LENGTH = 0.025
"""Half the length of a drawn axis, and radius of the arc of a range [m]."""
_PERIOD = 0.05


class HandPage:
    """Sliders and rings for all actuators; axes, ranges, shapes, drawings and collisions.

    Attributes:
        address: where a browser finds it; empty until it is open.
        angles: of the actuators, as they are shown [rad], (n_actuators,).
    """

    def __init__(
        self, hand: Hand, colliding: Colliding | None = None, *, host: str, port: int
    ) -> None:
        """Takes what `open` needs.

        Args:
            hand: the hand.
            colliding: what finds collisions; None shows none.
            host: address to listen on.
            port: the same; the next free one if it is taken.
        """
        self._hand, self._colliding = hand, colliding
        self._host, self._port = host, port
        self._guard = Guard(host)
        self.address = ""
        self.angles: Array = np.array(hand.rest)
        self._shown: Array = np.full(hand.n_actuators, np.nan)
        self._sliders: list[GuiSliderHandle[float]] = []
        self._rings: list[TransformControlsHandle] = []

    def open(self) -> None:
        """Starts the server and builds the page.

        Raises:
            DescriptionError: a drawing cannot be read.
            ConfigError: the address is not this machine's, or there is no such port.
        """
        check_address(self._host, self._port)
        drawings = [*self._hand.root_drawings, *(d for x in self._hand.links for d in x.drawings)]
        for drawing in drawings:
            read_stl(self._hand.folder / drawing.file)
        # viser prints on standard output, where a caller may expect JSON.
        with redirect_stdout(sys.stderr), self._guard.installed():
            self._server = ViserServer(
                host=self._host, port=self._port, label=self._hand.name, verbose=False
            )
        self._server.on_client_connect(_note_client)
        scene = self._server.scene
        scene.set_up_direction("+z")
        scene.configure_default_lights(cast_shadow=False)
        center = np.array(self._hand.workspace.center)
        self._server.initial_camera.position = tuple(center + [-0.25, -0.25, 0.3])
        self._server.initial_camera.look_at = tuple(center)
        self._model = HandModel(scene, self._hand, drawings=True)
        self._marks = [self._mark(joint) for joint in range(self._hand.n_joints)]
        self._add_panel()
        self.draw()
        self.address = f"http://{self._host}:{self._server.get_port()}/?token={self._guard.token}"

    def run(self, ended: Callable[[], bool]) -> None:
        """Draws until `ended` returns true."""
        while not ended():
            self.draw()
            time.sleep(_PERIOD)

    def draw(self) -> None:
        """Draws the angles, if they have changed."""
        angles = self.angles
        if np.array_equal(angles, self._shown):
            return
        self._shown = angles
        self._model.show(angles)
        for actuator, (slider, ring) in enumerate(zip(self._sliders, self._rings, strict=True)):
            if slider.value != angles[actuator]:
                slider.value = float(angles[actuator])  # type: ignore[misc]  # no setter in viser's stubs
            ring.wxyz = self._turned(actuator)
        self._show_collisions()

    def close(self) -> None:
        """Closes the page."""
        self._server.stop()

    def move(self, actuator: int, angle: float) -> None:
        """Sets the angle of an actuator [rad], within its range."""
        changed = self.angles.copy()
        low, high = self._hand.lower[actuator], self._hand.upper[actuator]
        changed[actuator] = min(max(angle, low), high)
        self.angles = changed

    def _add_panel(self) -> None:
        gui = self._server.gui
        gui.configure_theme(show_logo=False, show_share_button=False)
        hand = self._hand
        has_drawings = any(self._model.drawings.values())
        gui.add_markdown(f"### {hand.name}\n{hand.n_joints} joints, {hand.n_actuators} actuators")
        self._said: GuiMarkdownHandle = gui.add_markdown("")
        self._add_switch("shapes", not has_drawings, self._model.shapes)
        if has_drawings:
            self._add_switch("drawings", True, self._model.drawings)
        self._add_switch("axes and ranges", True, {"": [x for pair in self._marks for x in pair]})
        for actuator in range(hand.n_actuators):
            self._add_joint(actuator)
        self._add_switch("rings to drag", False, {"": self._rings})
        rest = gui.add_button("rest pose")

        @rest.on_click
        def _(_: object) -> None:
            self.angles = np.array(hand.rest)

    def _add_switch(self, name: str, value: bool, groups: Any) -> None:
        box = self._server.gui.add_checkbox(name, value)

        def apply(_: object) -> None:
            for handles in groups.values():
                for handle in handles:
                    handle.visible = box.value

        box.on_update(apply)
        apply(None)

    def _add_joint(self, actuator: int) -> None:
        """A slider, and a ring about the axis of the joint that the servo acts on."""
        hand = self._hand
        low, high = float(hand.lower[actuator]), float(hand.upper[actuator])
        slider = self._server.gui.add_slider(
            hand.actuator_names[actuator],
            low,
            high,
            min(0.01, (high - low) / 100),
            float(hand.rest[actuator]),
            hint=f"{low:.3f} to {high:.3f} rad",
        )
        joint = hand.driven_joint[actuator]
        link = hand.links[joint]
        ring = self._server.scene.add_transform_controls(
            f"{self._model.paths[link.parent]}/ring{actuator}",
            scale=0.05,
            disable_axes=True,
            disable_sliders=True,
            # viser shows the ring about an axis where both other axes are active.
            active_axes=(False, True, True),
            position=link.origin,
            wxyz=self._turned(actuator),
        )
        self._sliders.append(slider)
        self._rings.append(ring)

        @slider.on_update
        def _(_: object) -> None:
            if abs(slider.value - self.angles[actuator]) > 1e-9:
                self.move(actuator, slider.value)

        @ring.on_update
        def _(_: object) -> None:
            still = rotations.multiply(self._model.fixed[joint], self._along(joint))
            turn = rotations.multiply(rotations.conjugate(still), np.array(ring.wxyz))
            angle = 2 * np.arctan2(turn[1], turn[0])
            middle = (low + high) / 2
            angle -= 2 * np.pi * np.round((angle - middle) / (2 * np.pi))
            self.move(actuator, float(angle))

    def _along(self, joint: int) -> Array:
        """Turn from the x axis to that of a joint, wxyz."""
        axis = np.array(self._hand.links[joint].axis)
        axis /= np.linalg.norm(axis)
        cross = np.cross([1.0, 0.0, 0.0], axis)
        sine = float(np.linalg.norm(cross))
        if sine < 1e-9:
            return rotations.exp(np.array([0.0, 0.0, 0.0 if axis[0] > 0 else np.pi]))
        return rotations.exp(cross / sine * np.arctan2(sine, axis[0]))

    def _turned(self, actuator: int) -> Array:
        """Orientation of an actuator's ring, wxyz, in the frame of the joint's parent."""
        joint = self._hand.driven_joint[actuator]
        axis = np.array(self._hand.links[joint].axis)
        turn = rotations.exp(self.angles[actuator] * axis / np.linalg.norm(axis))
        placed = rotations.multiply(self._model.fixed[joint], turn)
        return rotations.multiply(placed, self._along(joint))

    def _mark(self, joint: int) -> tuple[Any, Any]:
        """The axis of a joint, and the arc of its range about it; both stay with the parent."""
        link = self._hand.links[joint]
        path = self._model.paths[link.parent]
        wxyz = rotations.multiply(self._model.fixed[joint], self._along(joint))
        ends = np.array([[[-_LENGTH, 0.0, 0.0], [_LENGTH, 0.0, 0.0]]], dtype=np.float32)
        steps = np.linspace(*link.range, 25)
        arc = _LENGTH * np.column_stack([np.zeros_like(steps), np.cos(steps), np.sin(steps)])
        spokes = np.array([[np.zeros(3), arc[0]], [np.zeros(3), arc[-1]]])
        lines = np.concatenate([np.stack([arc[:-1], arc[1:]], axis=1), spokes])
        scene = self._server.scene
        axis, limit = (
            scene.add_line_segments(
                f"{path}/{name}{joint}",
                points.astype(np.float32),
                color,
                thickness=0.001,
                position=link.origin,
                wxyz=wxyz,
            )
            for name, points, color in (("axis", ends, _AXIS), ("range", lines, _LIMIT))
        )
        return axis, limit

    def _show_collisions(self) -> None:
        pairs = [] if self._colliding is None else self._colliding(self.angles)
        touched = {name for pair in pairs for name in pair}
        for name, handles in self._model.shapes.items():
            still = name == self._hand.root or self._is_palm(name)
            color = _RED if name in touched else PALM if still else SKIN
            for handle in (*handles, *self._model.drawings.get(name, ())):
                handle.color = color
        words = ", ".join(f"{one} and {two}" for one, two in pairs)
        if self._colliding is None:
            self._said.content = "collisions: not computed (extra train)"
        else:
            self._said.content = f"collisions: {words or 'none'}"

    def _is_palm(self, name: str) -> bool:
        return any(
            link.name == name and link.parent == self._hand.root for link in self._hand.links
        )


async def _note_client(client: ClientHandle) -> None:
    """As a coroutine it runs at once, in the context of the connection, unlike in a thread."""
    note_client(client)
