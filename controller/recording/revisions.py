"""Changes of the program by which replays of earlier recordings differ from them."""

NAME = "results"
"""Name of the revision among the versions of a recording."""

CHANGES = (
    (
        "outputs.pose",
        "pose filter: rotations that do not commute, errors of the calibration that do not average "
        "out, and a frame that is exactly a window old counts once",
    ),
    (
        "outputs.pose",
        "pose filter: a camera that was moved is found by comparing cameras, and corrected; late "
        "frames count for 0.15 s",
    ),
    ("outputs.pose", "pose filter: an object that touches nothing is not moved with the palm"),
    (
        "outputs.pose",
        "poses of frames: refined to 0.3 mrad, and the prediction is tried before other seeds",
    ),
    (
        "outputs.in_hand",
        "falls: measurements that the pose filter rejected count for a dropped object",
    ),
    (
        "outputs.goal",
        "goals: reached at the capture of a frame; a pause or blindness starts the hold time anew",
    ),
    (
        "outputs.targets",
        "targets: they brake in time with ticks of any length, and interpolation counts time",
    ),
    (
        "outputs.targets",
        "targets: slow moves keep fingers clear of one another; a blocked joint is eased",
    ),
    (
        "outputs.targets",
        "slow cameras: the age of the pose at which the hand pauses follows how old poses become",
    ),
    (
        "outputs.targets",
        "slow moves: gaps of boxes are more exact, and fingers are straightened where bent ones "
        "leave no way",
    ),
)
"""Where a replay may differ, and why; the oldest first. A change is added at the end whenever equal
inputs give other results than before."""


def revision() -> str:
    """The revision of this program: the number of such changes."""
    return str(len(CHANGES))


def changes_since(made: str) -> tuple[str, ...]:
    """What has changed since a revision.

    Args:
        made: revision of a recording; empty if it is from before revisions were counted.
    """
    count = int(made) if made.isdecimal() else 0
    return tuple(f"{where}: {why}" for where, why in CHANGES[count:])
