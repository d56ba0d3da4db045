"""The picture of a run: columns of its log over the policy steps."""

import matplotlib

from inhand.files import whole_file
from inhand.training.learning.run_files import Paths, read_log

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend is chosen before)

DRAWN = ("goals", "goals_per_drop", "distance", "universe_scale", "loss")


def draw_curve(paths: Paths) -> None:
    """Draws the columns of the log over the policy steps; nothing if there is no row yet."""
    rows = read_log(paths.log)
    names = [name for name in DRAWN if any(name in row for row in rows)]
    if not names:
        return
    figure, axes = plt.subplots(
        len(names), 1, sharex=True, squeeze=False, figsize=(7, 2 * len(names))
    )
    for axis, name in zip(axes[:, 0], names, strict=True):
        having = [row for row in rows if name in row]
        axis.plot([row["steps"] / 1e6 for row in having], [row[name] for row in having])
        axis.set_ylabel(name.replace("_", " "))
        axis.grid(alpha=0.3)
    axes[-1, 0].set_xlabel("million policy steps")
    figure.tight_layout()
    with whole_file(paths.curve) as file:
        figure.savefig(file, format="png", dpi=100)
    plt.close(figure)
