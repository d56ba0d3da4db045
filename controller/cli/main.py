"""`inhand`: the command line, one verb for each task."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import tyro

from inhand.controller.cli.bus_verbs import Doctor, Reboot, Restore, Scan, SetBaud, SetId
from inhand.controller.cli.camera_verbs import Cameras
from inhand.controller.cli.config_verb import ConfigVerb
from inhand.controller.cli.goal_verbs import Goal, Goals, RandomGoals
from inhand.controller.cli.joint_verbs import Joints
from inhand.controller.cli.key_verbs import Keys
from inhand.controller.cli.object_verbs import Object
from inhand.controller.cli.verbs import (
    Arm,
    Cancel,
    Clear,
    Control,
    Disable,
    Disarm,
    Enable,
    Estop,
    Events,
    Hold,
    Home,
    LoadPolicy,
    Place,
    Record,
    Shutdown,
    Status,
)
from inhand.controller.errors import ConfigError
from inhand.errors import InhandError, remedy
from inhand.perception.parent import end_with_parent
from inhand.result import results_only

_VERBS: dict[str, Any] = {
    "status": Status,
    "enable": Enable,
    "disable": Disable,
    "home": Home,
    "place": Place,
    "arm": Arm,
    "disarm": Disarm,
    "goal": Goal,
    "goals": Goals,
    "random-goals": RandomGoals,
    "cancel": Cancel,
    "joints": Joints,
    "hold": Hold,
    "estop": Estop,
    "clear": Clear,
    "load-policy": LoadPolicy,
    "events": Events,
    "record": Record,
    "control": Control,
    "shutdown": Shutdown,
    "config": ConfigVerb,
    "keys": Keys,
    "object": Object,
    "cameras": Cameras,
    "doctor": Doctor,
    "scan": Scan,
    "set-id": SetId,
    "set-baud": SetBaud,
    "reboot": Reboot,
    "restore": Restore,
}

_COMMANDS = {
    # Verbs that are programs of their own, with what they do.
    "demo": "start a simulated hand and send it goals",
    "emulate": "emulate a hand's servos on a serial port, for any program",
    "view": "show a running hand, or a recording, as a web page",
    "foxglove": "serve a running hand to Foxglove",
    "ros2": "publish a running hand to ROS 2",
    "rest": "serve requests and states over HTTP and WebSocket",
    "recording": "turn a recording into tables, or repair one",
    "plot": "plot a recording: goals, errors, latency",
    "report": "make a page of a recording or a run: plots, tables, a film",
    "eval": "measure a policy in any engine",
    "measure": "measure a run, teacher or student, in many worlds at once",
    "compare": "compare two evaluations of the same seeds",
    "transfer": "fill the table of what transfers",
    "probe": "test which properties of its world a policy's memory encodes",
    "interventions": "measure what it costs a policy to lose its memory",
    "monitor": "make a policy's monitor, or measure it",
    "train": "train a policy",
    "runs": "list the runs of training: state, steps, best result",
    "sweep": "train a recipe with each combination of some values",
    "policy": "wrap a policy from elsewhere, check one, or export one",
    "vision": "draw pictures of an object without tags, train a network on them, judge it",
    "hand": "make a hand file of a URDF or MJCF model, or check one",
    "calibrate": "find lenses, places, latency of cameras; places of tags; joints, servos",
    "print": "write objects with their tags, plates and tags as PDF, in true size",
    "replay": "run a recording again, equal to the bit",
    "bench": "measure speed beside peers, in the source tree",
}

_OPTIONAL = {
    # verb: module that a robot need not have installed; its `main` takes the arguments after it
    "emulate": "inhand.sim_backend.emulate",
    "view": "inhand.controller.view.__main__",
    "foxglove": "inhand.controller.view.foxglove_live",
    "ros2": "inhand.controller.view.ros2_live",
    "rest": "inhand.controller.view.rest",
    "report": "inhand.training.evaluation.report_command",
    "eval": "inhand.training.evaluation.evaluation",
    "measure": "inhand.training.evaluation.batch_measure",
    "compare": "inhand.training.evaluation.comparison",
    "transfer": "inhand.training.evaluation.transfer",
    "probe": "inhand.training.evaluation.probe",
    "interventions": "inhand.training.evaluation.interventions",
    "monitor": "inhand.training.evaluation.monitor_command",
    "train": "inhand.training.learning.train",
    "runs": "inhand.training.learning.runs",
    "sweep": "inhand.training.learning.sweep",
    "policy": "inhand.controller.cli.policy_verbs",
    "vision": "inhand.training.vision.command",
    "hand": "inhand.training.mujoco_worlds.hand_command",
    "bench": "benchmarks.__main__",
}

_EXTRAS = {
    # package: extra that brings it
    "pybullet": "sim",
    "pydrake": "drake",
    "viser": "view",
    "trimesh": "view",
    "mujoco": "train",
    "ray": "cluster",
    "torch": "train",
    "tensorboard": "train",
    "mujoco_warp": "train-gpu",
    "gymnasium": "train",
    "onnx": "policy",
    "sklearn": "train",
    "scipy": "train",
    "matplotlib": "view",
    "rosbags": "ros",
    "pyarrow": "lerobot",
    "av": "lerobot",
    "foxglove": "live",
    "rerun": "rerun",
    "starlette": "rest",
    "uvicorn": "rest",
}


def main() -> None:
    """Entry point of `inhand`."""
    arguments = sys.argv[1:]
    # Help is for people also beside --json.
    asked = "--json" in arguments and not {"-h", "--help"} & set(arguments)
    with results_only() if asked else nullcontext():
        _main(arguments)


def _main(arguments: list[str]) -> None:
    try:
        if arguments and arguments[0] in _COMMANDS:
            sys.exit(_run(arguments))
        completes = any(argument.startswith("--tyro-") for argument in arguments)
        verb = tyro.extras.subcommand_cli_from_dict(
            _VERBS | _names_of_programs() if completes else _VERBS,
            prog="inhand",
            description=_description(),
            args=arguments,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        code = verb.run()
        sys.stdout.flush()
        sys.exit(code)
    except InhandError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:
        # The reader closed the pipe; the interpreter must not fail on it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(arguments: list[str]) -> int:
    """Runs a verb that is a program of its own."""
    verb, *rest = arguments
    end_with_parent()
    sys.argv = [f"inhand {verb}", *rest]
    if verb == "bench":
        # Benchmarks are in the source tree only.
        sys.path.append(os.getcwd())
    try:
        with nullcontext() if verb == "bench" else _safe_path():
            return _entry_point(verb)() or 0
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "benchmarks":
            raise ConfigError(
                f"{verb}: benchmarks are part of the source tree; run `make bench` there"
            ) from error
        if package not in _EXTRAS:
            raise
        # matplotlib is in two extras: `train` for training curves, `view` for reports.
        trains = _OPTIONAL.get(verb, "").startswith("inhand.training.") and verb != "report"
        draws = package == "matplotlib" and trains
        extra = "train" if draws else _EXTRAS[package]
        raise ConfigError(f"{verb}: {package} is not installed; {remedy(extra)}") from error


@contextmanager
def _safe_path() -> Iterator[None]:
    """Processes that libraries start take no file of the current directory for a module."""
    name = "PYTHONSAFEPATH"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        del os.environ[name]
        os.environ.update({} if before is None else {name: before})


def _entry_point(verb: str) -> Callable[[], int | None]:
    """The `main` of a verb, imported now, so that a short verb like `estop` loads no other."""
    if verb == "demo":
        from inhand.controller.cli.demo import main as demo

        return demo
    if verb == "recording":
        from inhand.controller.recording.export import main as recording

        return recording
    if verb == "plot":
        from inhand.controller.recording.plot import main as plot

        return plot
    if verb == "calibrate":
        from inhand.controller.calibration.commands import main as calibrate

        return calibrate
    if verb == "print":
        from inhand.controller.cli.print_verbs import main as print_verb

        return print_verb
    if verb == "replay":
        from inhand.controller.recording.replay import main as replay

        return replay
    entry: Callable[[], int | None] = importlib.import_module(_OPTIONAL[verb]).main
    return entry


def _names_of_programs() -> dict[str, Callable[[], None]]:
    """The verbs that are programs of their own, for shells to complete their names."""

    def named(what: str) -> Callable[[], None]:
        def program() -> None: ...

        program.__doc__ = what
        return program

    return {verb: named(what) for verb, what in _COMMANDS.items()}


def _description() -> str:
    others = "\n".join(f"  {verb}: {what}" for verb, what in _COMMANDS.items())
    return f"Requests to a running daemon (inhandd). Further verbs:\n{others}"


if __name__ == "__main__":
    main()
