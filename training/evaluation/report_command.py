"""`inhand report`: a page of one file, of a recording, a training run or an evaluation."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from inhand.errors import InhandError
from inhand.files import refuse_existing, write_whole
from inhand.result import print_json, results_only
from inhand.training.evaluation.recording_report import report_of_recording
from inhand.training.evaluation.report_page import ReportPage
from inhand.training.evaluation.run_report import LOG, report_of_training, report_of_trials
from inhand.training.evaluation.trials import EvaluationError


@dataclass(frozen=True)
class Options:
    """Make a page of one file that needs no network: plots, tables and a film.

    Example: inhand report FILE --html report.html

    Attributes:
        what: A recording (.mcap), a training run (its folder, or its name in `runs`), or a file
            of `inhand eval --keep`.
        html: The page to write.
        seconds: Length of the film of a recording [s]; 0 for none.
        start: When the film begins, since the recording began [s]; otherwise with the first goal.
        video: A film (MP4) to show instead, for instance of `inhand eval --video`.
        json: Print the figures as JSON.
    """

    what: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN|RECORDING")]
    html: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    seconds: float = 20.0
    start: Annotated[float | None, tyro.conf.arg(metavar="X")] = None
    video: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    json: bool = False


def make(options: Options) -> ReportPage:
    """The page of what was named.

    Raises:
        InhandError: an option is wrong, or the input is missing, damaged or of another kind.
    """
    if options.html.suffix != ".html":
        raise EvaluationError(f"report: --html {options.html}: the page must end in .html")
    if not 0 <= options.seconds <= 3600:
        raise EvaluationError(f"report: --seconds {options.seconds} must lie in 0..3600")
    refuse_existing(options.html, "--html")
    film = None if options.video is None else _film(options.video)
    named = options.what
    folder = named if named.is_dir() else Path("runs") / named
    if (folder / LOG).is_file():
        page = report_of_training(folder)
    elif named.is_dir():
        raise EvaluationError(f"report: {named}: no training run, as there is no {LOG} in it")
    elif not named.exists():
        raise EvaluationError(
            f"report: {named}: neither a file, nor a training run in the folder `runs`"
        )
    elif named.suffix == ".json":
        page = report_of_trials(named)
    else:
        return report_of_recording(named, options.seconds, options.start, film)
    if film is not None:
        page.head("Film")
        page.film(film)
    return page


def _film(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EvaluationError(f"report: --video {path}: {error.strerror}") from error
    if content[4:8] != b"ftyp":
        raise EvaluationError(f"report: --video {path}: it is no MP4 file")
    return content


def main() -> int:
    """Entry point of `inhand report`."""
    options = tyro.cli(Options, prog="inhand report", config=(tyro.conf.FlagCreatePairsOff,))
    try:
        # What draws the film prints by itself.
        with results_only():
            page = make(options)
        write_whole(options.html, page.text())
    except InhandError as error:
        sys.exit(f"error: {error}")
    if options.json:
        print_json({"output": str(options.html), **page.figures})
    else:
        print(options.html)
    return 0
