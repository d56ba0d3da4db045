"""A web server that streams JPEGs as network cameras do, and can be stopped and started again."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

from inhand.perception.tags import Image


class MjpegServer:
    """Streams pictures on one port.

    Args:
        size: width and height [px].
        rate: frames a second.
        picture: makes the picture of a number; noise if not given.
    """

    def __init__(
        self,
        size: tuple[int, int],
        rate: float = 30.0,
        picture: Callable[[int], Image] | None = None,
    ) -> None:
        self._size, self._rate = size, rate
        self._picture = picture or self._noise
        self._stopping = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream.mjpg"

    def start(self) -> None:
        """Starts to serve, on the same port as before."""
        self._stopping.clear()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802
                outer._serve(self)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the test's output stays readable."""

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Ends all connections, and refuses new ones."""
        self._stopping.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        handler.end_headers()
        number = 0
        while not self._stopping.wait(1 / self._rate):
            _, jpeg = cv2.imencode(".jpg", self._picture(number))
            data = jpeg.tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            try:
                handler.wfile.write(head.encode() + data + b"\r\n")
            except OSError:
                return
            number += 1

    def _noise(self, number: int) -> Image:
        width, height = self._size
        rng = np.random.default_rng(number)
        return rng.integers(0, 256, (height, width), dtype=np.uint8)
