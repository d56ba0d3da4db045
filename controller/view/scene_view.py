"""The three-dimensional part of the page."""

from math import atan, hypot

import numpy as np
from viser import ClientHandle, SceneNodeHandle, TransformControlsHandle, ViserServer

from inhand.controller.view.hand_model import HandModel
from inhand.controller.view.object_model import add_edges, add_ellipsoid, add_solid, add_tags
from inhand.controller.view.view_model import Moment, Pose, Setting
from inhand.hardware.records import Array

ORANGE, BLUE = (240, 140, 30), (40, 110, 240)
# Relative to the middle of the workspace, world frame [m].
_GOAL = np.array([-0.1, 0.09, 0.03])
"""Where the goal is drawn: beside the fingers, so that it hides nothing of the object."""
_VIEWPOINT = np.array([-0.26, -0.305, 0.39])
_LOOK_AT = np.array([0.045, -0.045, -0.01])
"""To the right of the hand: the panel covers the right third of the page."""
_LOOK_AT_NARROW = np.array([-0.035, 0.0, -0.1])
"""Below the hand: on a telephone the panel covers the lower half."""
_NARROW = 0.9
"""Ratio of width to height below which a page is narrow."""
_FIELD_OF_VIEW = 0.65
"""Vertical [rad]. From far away with a narrow field, object and goal are seen from nearly the same
direction, so that equal orientations look alike."""

_SIGMAS = 3.0
_SMALLEST = 1e-4


class SceneView:
    """Hand, object, goal and cameras."""

    def __init__(self, server: ViserServer, setting: Setting) -> None:
        scene = server.scene
        scene.reset()
        self._server = server
        centre = np.array(setting.hand.workspace.center)
        scene.set_up_direction("+z")
        # Without shadows a browser without graphics hardware can draw the page too.
        scene.configure_default_lights(cast_shadow=False)
        server.initial_camera.position = tuple(centre + _VIEWPOINT)
        server.initial_camera.look_at = tuple(centre + _LOOK_AT)
        server.initial_camera.fov = _FIELD_OF_VIEW
        self._centre = centre
        scene.add_grid("/floor", 2.0, 2.0, cell_size=0.1, position=(0.0, 0.0, -0.15))
        self._hand = HandModel(scene, setting.hand)
        nodes = {}
        for name in ("estimate", "measured", "truth"):
            nodes[name] = scene.add_frame(f"/{name}", show_axes=False, visible=False)
        self._nodes: dict[str, SceneNodeHandle] = dict(nodes)
        add_solid(scene, "/estimate", setting.target)
        add_tags(scene, "/estimate", setting.target)
        add_edges(scene, "/measured", setting.target, ORANGE)
        add_edges(scene, "/truth", setting.target, BLUE)
        self._ellipsoid = add_ellipsoid(scene, "/uncertainty")
        for camera in setting.cameras.values():
            scene.add_camera_frustum(
                f"/cameras/{camera.name}",
                2 * atan(camera.height / 2 / camera.focal_length),
                camera.width / camera.height,
                scale=0.015,
                thickness=8e-4,
                color=(90, 96, 110),
                position=camera.position,
                wxyz=camera.quaternion,
            )
        self._ghost = self._add_ghost(setting, centre + _GOAL)
        self._turned_by_hand = False

    def fit(self, client: ClientHandle) -> None:
        """Sets the viewpoint of a browser with a narrow page, where all would be too wide."""
        if (ratio := client.camera.aspect) >= _NARROW:
            return
        look_at = self._centre + _LOOK_AT_NARROW
        client.camera.position = tuple(look_at + _VIEWPOINT / ratio**0.75)
        client.camera.look_at = tuple(look_at)

    @property
    def ghost(self) -> TransformControlsHandle:
        """The goal's model; its `wxyz` is the goal orientation, world from object."""
        return self._ghost

    def show(self, moment: Moment) -> None:
        """Draws a moment."""
        state = moment.state
        if state["joints"] is not None:
            self._hand.show(np.array(state["joints"]["position"]))
        pose = state["object"]["pose"]
        estimate = pose and (np.array(pose["position"]), np.array(pose["quaternion"]))
        self._place("estimate", estimate)
        self._place("measured", moment.measured)
        self._place("truth", moment.truth)
        self._ellipsoid.visible = pose is not None
        if pose is not None:
            self._ellipsoid.position = pose["position"]
            widths = [max(_SIGMAS * x, _SMALLEST) for x in pose["deviation"][:3]]
            self._ellipsoid.scale = (widths[0], widths[1], widths[2])
        goal = state["goal"]
        if goal is not None and not self._turned_by_hand:
            self._ghost.wxyz = goal["quaternion"]

    def follow_goal(self) -> None:
        """Makes the goal's model follow the daemon's goal again."""
        self._turned_by_hand = False

    def _place(self, name: str, pose: Pose | None) -> None:
        node = self._nodes[name]
        node.visible = pose is not None
        if pose is not None:
            node.position, node.wxyz = pose

    def _add_ghost(self, setting: Setting, position: Array) -> TransformControlsHandle:
        size = hypot(*setting.target.size)
        ghost = self._server.scene.add_transform_controls(
            "/goal",
            scale=1.1 * size,
            disable_axes=True,
            disable_sliders=True,
            position=position,
        )
        add_solid(self._server.scene, "/goal", setting.target, opacity=0.6)

        @ghost.on_update
        def _(_: object) -> None:
            # A person turns it: it must not follow the daemon until the goal is sent.
            self._turned_by_hand = True

        return ghost
