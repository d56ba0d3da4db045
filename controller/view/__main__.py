"""`inhand view`: serves the page until Ctrl-C."""

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from inhand.controller.system.realtime import lower_priority
from inhand.controller.view.live import LiveFeed
from inhand.controller.view.page import Commander, Page
from inhand.controller.view.recorded import RecordedFeed
from inhand.controller.view.view_model import Feed
from inhand.errors import InhandError


@dataclass(frozen=True)
class Options:
    """Show a running hand as a web page, or in Rerun.

    Example: inhand view --command

    Attributes:
        recording: A recording to show, instead of a daemon that runs.
        command: Offer goals and modes on the page; without it only the emergency stop.
        directory: Where the daemon's sockets are, instead of the usual place.
        key: File from `inhand keys generate`, to watch a daemon on another machine.
        host: Address to serve the page on; whoever reaches it may use what the page offers.
        port: Port to serve it on; the next free one if it is taken.
        rerun: Show it in Rerun's viewer instead of a page.
        rerun_file: Write a file for Rerun (.rrd) instead; of a running hand, until Ctrl-C.
    """

    recording: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="FILE")] = None
    command: bool = False
    directory: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    key: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    host: str = "127.0.0.1"
    port: int = 8080
    rerun: bool = False
    rerun_file: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None


def main() -> None:
    """Entry point of `inhand view`."""
    options = tyro.cli(Options, prog="inhand view", config=(tyro.conf.FlagCreatePairsOff,))
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    lower_priority()
    if options.rerun or options.rerun_file is not None:
        _show_in_rerun(options, lambda: ended)
        return
    try:
        feed: Feed
        send = None
        if options.recording is not None:
            feed = RecordedFeed(options.recording)
        else:
            feed = LiveFeed(options.directory, options.key)
            send = Commander(options.directory, options.key)
        page = Page(feed, host=options.host, port=options.port, send=send, command=options.command)
        page.open()
    except InhandError as error:
        sys.exit(f"error: {error}")
    try:
        feed.start()
        print(f"view: {page.address}", flush=True)
        page.run(lambda: ended)
    finally:
        page.close()
        feed.close()


def _show_in_rerun(options: Options, ended: Callable[[], bool]) -> None:
    # It is in an extra of its own.
    from inhand.controller.view.rerun_command import show_in_rerun

    feed = None if options.recording else LiveFeed(options.directory, options.key)
    try:
        show_in_rerun(options.recording, feed, options.rerun_file, ended)
    except InhandError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
