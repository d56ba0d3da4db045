"""The page: draws the feed while a browser is connected."""

import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Literal

import numpy as np
from viser import ClientHandle, GuiApi, ViserServer

from inhand.controller.client.sync import Client
from inhand.controller.client.world import WorldClient
from inhand.controller.errors import ClientError, ConfigError, RefusedError
from inhand.controller.view.address import check_address
from inhand.controller.view.guard import Guard, note_client
from inhand.controller.view.joint_driver import JointDriver
from inhand.controller.view.joint_panel import JointPanel
from inhand.controller.view.panel import Panel
from inhand.controller.view.scene_view import SceneView
from inhand.controller.view.view_model import Feed, Setting

RATE = 30.0
"""Refresh rate of the scene [Hz]."""

_CURVES = 0.25
_PICTURES = 0.15
_WORDS = 0.1
_IDLE = 0.2
_SHOWN = 6.0


class Page:
    """A server of the page.

    Attributes:
        address: where a browser finds it, with the token to use its controls; empty until it is
            open.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        host: str,
        port: int,
        send: "Commander | None" = None,
        command: bool = False,
    ) -> None:
        """Takes what `open` needs.

        Args:
            feed: what is shown.
            host: address to listen on.
            port: the same; the next free one if it is taken.
            send: sends requests to the daemon; None for a recording.
            command: whether requests other than the emergency stop may be sent.
        """
        self._feed, self._send, self._command = feed, send, command
        self._host, self._port = host, port
        self.address = ""
        self._guard = Guard(host)
        self._driver = None if send is None else send.joint_driver()
        self._setting: Setting | None = None
        self._scene_view: SceneView | None = None
        self._panel: Panel | None = None
        self._due = dict.fromkeys(("curves", "pictures", "words"), 0.0)

    def open(self) -> None:
        """Starts the server.

        Raises:
            ConfigError: the address is not this machine's, or there is no such port.
        """
        check_address(self._host, self._port)
        # viser prints on standard output, where a caller may expect JSON.
        with redirect_stdout(sys.stderr), self._guard.installed():
            self._server = ViserServer(
                host=self._host, port=self._port, label="inhand", verbose=False
            )
        self._server.on_client_connect(_note_client)
        self._server.on_client_connect(self._fit)
        self._server.gui.configure_theme(show_logo=False, show_share_button=False)
        self._server.gui.main_panel.dock_right()
        self._server.gui.add_markdown("waiting for the daemon")
        self.address = f"http://{self._host}:{self._server.get_port()}/?token={self._guard.token}"

    @property
    def watched(self) -> bool:
        """Whether a browser has the page open."""
        return bool(self._server.get_clients())

    def run(self, ended: Callable[[], bool]) -> None:
        """Draws until `ended` returns true."""
        following = time.monotonic()
        while not ended():
            following = max(following + 1.0 / RATE, time.monotonic())
            self.draw()
            pause = following - time.monotonic()
            time.sleep(max(0.0, pause) if self.watched else _IDLE)

    def draw(self) -> None:
        """Draws the present moment."""
        feed = self._feed
        if feed.setting is not self._setting:
            self._set_up(feed.setting)
        stage, panel = self._scene_view, self._panel
        if stage is None or panel is None:
            return
        feed.looking = self.watched and panel.pictures_wanted
        moment = feed.moment()
        if moment is not None:
            # For the scene only: while this block runs, nothing is sent and new browsers wait.
            with self._server.atomic():
                stage.show(moment)
        if self._is_due("words", _WORDS):
            panel.say(moment, feed.problem)
        if moment is not None and self._is_due("pictures", _PICTURES):
            panel.show_pictures(moment.pictures)
        if self._is_due("curves", _CURVES):
            panel.draw(feed.history, moment)

    def close(self) -> None:
        """Closes the page."""
        if self._driver is not None:
            self._driver.close()
        self._server.stop()

    def _fit(self, client: ClientHandle) -> None:
        if self._scene_view is not None:
            self._scene_view.fit(client)

    def _is_due(self, what: str, period: float) -> bool:
        now = time.monotonic()
        if now < self._due[what]:
            return False
        self._due[what] = now + period
        return True

    def _set_up(self, setting: Setting | None) -> None:
        """Builds the page for a new setting."""
        if setting is None:
            return
        self._setting = setting
        with self._server.atomic():
            stage = SceneView(self._server, setting)
            panel = Panel(
                self._server,
                setting,
                ask=self._ask if self._send else None,
                command=self._command,
                controls=self._feed.controls,
                for_all=self._guard.for_all.add,
                add_joints=self._add_joints if self._driver else None,
            )
        panel.ghost = lambda: np.array(stage.ghost.wxyz, dtype=np.float64)
        self._scene_view, self._panel = stage, panel

    def _add_joints(self, gui: GuiApi) -> None:
        """Adds the controls that command joints."""
        assert self._driver is not None and self._setting is not None
        self._driver.stop()
        JointPanel(
            gui,
            self._setting.hand,
            self._driver,
            lambda: set(self._server.get_clients()),
            lambda client, text, refused: _notify(client, "joints", text, refused=refused),
        )

    def _ask(self, client: ClientHandle | None, type: str, members: dict[str, object]) -> None:
        """Sends a request and shows the result in the browser that asked."""
        assert self._send is not None
        refused = False
        try:
            said = self._send(type, **members)
        except (ClientError, RefusedError, ConfigError) as error:
            said, refused = str(error), True
        _notify(client, type, said, refused=refused)
        if type == "goal" and self._scene_view is not None:
            self._scene_view.follow_goal()


def _notify(client: ClientHandle | None, title: str, text: str, *, refused: bool) -> None:
    if client is not None:
        color: Literal["red", "green"] = "red" if refused else "green"
        client.add_notification(title, text, auto_close_seconds=_SHOWN, color=color)


async def _note_client(client: ClientHandle) -> None:
    # viser awaits a coroutine where it connects the browser, and runs a function in a thread.
    note_client(client)


class Commander:
    """Sends requests, each over its own connection, so that none waits for another.

    Args:
        directory: as `inhand.controller.client.sync.Client` takes it.
        key: the same.
    """

    def __init__(self, directory: Path | None, key: Path | None) -> None:
        self._where = directory, key

    def joint_driver(self) -> JointDriver:
        """What commands joints of the same daemon."""
        return JointDriver(*self._where)

    def __call__(self, type: str, **members: object) -> str:
        """Sends a request, or `place` to the simulated world; returns what to show.

        Raises:
            ClientError: there is no daemon, or it does not answer.
            RefusedError: it refused.
        """
        with Client(self._where[0], key=self._where[1]) as client:
            if type != "place":
                return f"mode {client.call(type, **members)['mode']}"
            address = client.status()["world"]
        with WorldClient(address) as world:
            world.ask("place")
        return "the object is in the hand again"
