"""Directories of sockets and recordings: one rule for the daemon and its clients."""

import fcntl
import os
import tempfile
from pathlib import Path

from inhand.controller.errors import StartError

SYSTEM_DIRECTORY = Path("/run/inhand")


def run_directory(given: str | Path | None = None) -> Path:
    """The directory of the sockets.

    The first of: what is given, `$INHAND_DIRECTORY`, `/run/inhand` if the service made it,
    `$XDG_RUNTIME_DIR/inhand`, a private directory of the user among the temporary files.
    """
    if given:
        return Path(given)
    if chosen := os.environ.get("INHAND_DIRECTORY"):
        return Path(chosen)
    if SYSTEM_DIRECTORY.is_dir():
        return SYSTEM_DIRECTORY
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "inhand"
    return Path(tempfile.gettempdir()) / f"inhand-{os.getuid()}"


def socket_address(directory: Path, name: str) -> str:
    """The ZMQ address of a socket, `command` or `state`, in a run directory."""
    return f"ipc://{directory}/{name}.sock"


def image_address(directory: Path, camera: str) -> str:
    """The ZMQ address of a camera's pictures in a run directory."""
    return f"ipc://{directory}/image-{camera}.sock"


def world_states_address(directory: Path) -> str:
    """The ZMQ address where a simulated world publishes its true state."""
    return f"ipc://{directory}/world-states.sock"


def recordings_directory(configured: str, given: Path | None) -> Path:
    """The directory of recordings.

    The first of: what is configured, `recordings` beside the sockets if a directory was given for
    these, what the service manager made, the user's state directory (XDG).
    """
    if configured:
        return Path(configured)
    if given:
        return given.absolute() / "recordings"
    if state := os.environ.get("STATE_DIRECTORY"):
        return Path(state) / "recordings"
    try:
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise StartError(
            "recordings: there is no home directory; give [recording] directory in the "
            "configuration, or set XDG_STATE_HOME"
        ) from error
    return Path(home) / "inhand" / "recordings"


def make_run_directory(directory: Path) -> None:
    """Makes the directory, for its owner only, unless it is there already.

    Raises:
        StartError: it cannot be made, or belongs to somebody else.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = directory.stat().st_uid
    except OSError as error:
        raise StartError(f"run directory {directory}: {error.strerror}; give another") from error
    if owner != os.getuid() and directory != SYSTEM_DIRECTORY:
        raise StartError(f"run directory {directory} belongs to user {owner}; give another")


def let_everybody_watch(directory: Path) -> None:
    """Gives all users of this machine access to the state socket, and to nothing else."""
    (directory / "state.sock").chmod(0o777)
    # Execute permission alone: the socket can be opened by name, the directory not listed.
    directory.chmod(directory.stat().st_mode | 0o001)


def lock_run_directory(directory: Path) -> int:
    """Locks the directory for this process until the returned descriptor is closed.

    Raises:
        StartError: another daemon has it, or it cannot be written.
    """
    try:
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(
            f"run directory {directory}: no file can be made in it ({error.strerror}); give another"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StartError(
            f"another inhandd runs in {directory}; stop it with `inhand shutdown`, or give "
            "another --directory"
        ) from None
    return descriptor
