"""Puts our script into the page that viser serves."""

import gzip
from functools import lru_cache
from pathlib import Path

from websockets.http11 import Response

SCRIPT = Path(__file__).with_name("page_script.js")

_BEFORE = b"<title>"
"""The script runs before viser's own, which follows the title."""


def add_script(response: Response) -> None:
    """Changes viser's answer to a request of the page.

    Raises:
        ValueError: the page is not laid out as expected, which another version of viser can cause.
    """
    coding = response.headers.get("Content-Encoding", "identity")
    response.body = _with_script(bytes(response.body or b""), coding == "gzip")
    del response.headers["Content-Length"]
    response.headers["Content-Length"] = str(len(response.body))


@lru_cache(maxsize=2)
def _with_script(body: bytes, packed: bool) -> bytes:
    text = gzip.decompress(body) if packed else body
    head, found, rest = text.partition(_BEFORE)
    if not found:
        raise ValueError("viser's page has no title, before which the script goes")
    text = b"".join([head, b"<script>", SCRIPT.read_bytes(), b"</script>", found, rest])
    return gzip.compress(text) if packed else text
