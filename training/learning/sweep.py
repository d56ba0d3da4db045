"""`inhand sweep`: a recipe with several values of its settings, one run for each combination."""

import csv
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import tyro
from msgspec.structs import replace

from inhand.files import write_whole
from inhand.result import print_json
from inhand.training.learning.grid import Variant, parse_grid, variants, write_recipe
from inhand.training.learning.run_files import Paths, locked
from inhand.training.learning.run_recipe import TrainingError, load_recipe
from inhand.training.learning.runs import Run, describe
from inhand.training.learning.sweep_runner import Job, Runner, on_this_machine


class Result(NamedTuple):
    """A variant and what came of it."""

    variant: Variant
    run: Run


def sweep(
    made: Sequence[Variant], runs: Path, options: Sequence[str], runner: Runner
) -> list[Result]:
    """Trains all variants that are not finished; the table is written after each.

    Args:
        made: the variants, all of one sweep.
        runs: folder of all runs.
        options: of `inhand train` for each.
        runner: starts them.

    Raises:
        TrainingError: a run of another recipe is in the place of one of these, or is running.
    """
    folders = [Paths(runs / variant.recipe.run).folder for variant in made]
    jobs = []
    for variant, folder in zip(made, folders, strict=True):
        if locked(Paths(folder)):
            raise TrainingError(f"sweep: {folder} is being trained already; see `inhand runs`")
        write_recipe(variant, folder / "recipe.toml")
        known = describe(folder, variant.recipe.run)
        if known.state != "finished" or known.iteration < variant.recipe.iterations:
            recipe = str(folder / "recipe.toml")
            jobs.append(Job(folder, ("train", recipe, "--runs", str(runs), *options)))

    problems: dict[Path, str] = {}

    def results() -> list[Result]:
        found = []
        for variant, folder in zip(made, folders, strict=True):
            run = describe(folder, variant.recipe.run)
            if folder in problems:
                run = replace(run, state="failed", problem=problems[folder])
            found.append(Result(variant, run))
        return found

    def ended(job: Job, code: int) -> None:
        if code:
            problems[job.folder] = _problem(job.folder, code)
        said = problems.get(job.folder) or describe(job.folder, "").state
        print(f"{job.folder.name}: {said}", file=sys.stderr, flush=True)
        write_tables(results(), folders[0].parent)

    write_tables(results(), folders[0].parent)
    runner(jobs, ended)
    return results()


def _problem(folder: Path, code: int) -> str:
    if code < 0:
        return f"killed by signal {-code}"
    lines = (folder / "output.txt").read_text(errors="replace").splitlines()
    return lines[-1] if lines else f"exit code {code}"


HEADS = ("state", "iteration", "steps", "minutes", "goals", "best_goals", "best_steps")


def write_tables(results: Sequence[Result], folder: Path) -> None:
    """Writes `sweep.csv` for programs and `sweep.md` for people, the best variant first."""
    ranked = sorted(results, key=lambda one: -(one.run.best_goals or 0.0))
    keys = list(results[0].variant.settings)
    lines = [
        [
            *(str(one.variant.settings[key]) for key in keys),
            *(_cell(getattr(one.run, head)) for head in HEADS),
        ]
        for one in ranked
    ]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([[*keys, *HEADS], *lines])
    write_whole(folder / "sweep.csv", text.getvalue())
    table = [[*keys, *HEADS], ["---"] * (len(keys) + len(HEADS)), *lines]
    rows = "".join(f"| {' | '.join(line)} |\n" for line in table)
    failed = [f"{one.run.run}: {one.run.problem}\n" for one in results if one.run.problem]
    notes = "".join(["\n", *failed]) if failed else ""
    write_whole(folder / "sweep.md", f"# {folder.name}\n\n{rows}{notes}")


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


@dataclass
class Arguments:
    """Train a recipe with each combination of some values; the results are a table.

    Example: inhand sweep block-teacher --grid teacher.step_size=1e-4,3e-4 teacher.seed=1,2

    The same command goes on where it was stopped. Each combination is a run of its own below
    `runs/NAME`, with its recipe, log and checkpoint; the table is `runs/NAME/sweep.md` and `.csv`.

    Attributes:
        recipe: name of a recipe, or a TOML file.
        grid: keys of the recipe with their values, as KEY=VALUE,VALUE.
        name: of the sweep; without it, the recipe's run and `-sweep`.
        jobs: runs at once; they share the cores.
        ray: give each run a CPU of a Ray cluster whose machines share the folder of the runs:
            HOST:PORT of its head, or `local`.
        runs: folder of the runs.
        minutes: stop each run after this time.
        device: of the learners, as torch names it.
        json: print the results as JSON.
    """

    recipe: tyro.conf.Positional[str]
    grid: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE,VALUE")] = ()
    name: str = ""
    jobs: int = 1
    ray: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = ""
    runs: Path = Path("runs")
    minutes: float | None = None
    device: str = "cpu"
    json: bool = False


def _run(given: Arguments, made: Sequence[Variant], options: Sequence[str]) -> list[Result]:
    """Trains the variants on this machine, or on those of a cluster."""
    if not given.ray:
        return sweep(made, given.runs, options, on_this_machine(given.jobs))
    # Ray is in an extra of its own.
    from inhand.training.cluster.connection import connected
    from inhand.training.learning.distributed import MODULES
    from inhand.training.learning.sweep_cluster import on_cluster

    gpus = 0 if given.device == "cpu" else 1
    with connected(given.ray, MODULES):
        # Elsewhere, a relative path means another folder.
        return sweep(made, given.runs.absolute(), options, on_cluster(gpus))


def main() -> int:
    """`inhand sweep`."""
    given = tyro.cli(Arguments, prog="inhand sweep")
    if given.jobs < 1:
        raise TrainingError(f"sweep: --jobs {given.jobs}: at least 1")
    if given.ray and given.jobs > 1:
        raise TrainingError("sweep: --ray and --jobs exclude each other; leave one out")
    recipe = load_recipe(given.recipe)
    name = given.name or f"{recipe.run}-sweep"
    made = variants(recipe, parse_grid(given.grid), name)
    threads = 1 if given.ray else max(1, len(os.sched_getaffinity(0)) // given.jobs)
    options = ["--device", given.device, "--threads", str(threads)]
    if given.minutes is not None:
        options += ["--minutes", str(given.minutes)]
    results = _run(given, made, options)
    if given.json:
        print_json([{"settings": one.variant.settings, "run": one.run} for one in results])
    else:
        print((given.runs / name / "sweep.md").read_text(), end="")
    failed = any(one.run.state == "failed" for one in results)
    return 1 if failed else 0
