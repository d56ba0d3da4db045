"""`inhand`: everything a person types, one verb each."""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tyro

from controller.client import Client, Message
from controller.config import load_config, show_config
from controller.errors import ConfigError
from hardware.errors import InhandError
from perception.errors import PerceptionError

Directory = Annotated[Path | None, tyro.conf.arg(metavar="DIR")]


@dataclass(frozen=True)
class _Verb:
    """Attributes:
    directory: Where the daemon's sockets are, instead of the usual place.
    json: Print the daemon's reply as JSON.
    """

    directory: Directory = None
    json: bool = False

    def run(self) -> int:
        """Sends the request that has the verb's name."""
        return self.send(type(self).__name__.lower())

    def send(self, type: str, **members: object) -> int:
        """Sends a request and prints the reply."""
        with Client(self.directory) as client:
            reply = client.call(type, **members)
        reply.pop("id"), reply.pop("ok")
        self.show(reply)
        return 0

    def show(self, reply: Message) -> None:
        """Prints a reply."""
        print(_json(reply) if self.json else _lines(reply))


@dataclass(frozen=True)
class Status(_Verb):
    """Show mode, object, goal and tick.

    Example: inhand status
    """

    def show(self, reply: Message) -> None:
        print(_json(reply) if self.json else _status(reply))


@dataclass(frozen=True)
class Enable(_Verb):
    """Switch torque on, holding the present position.

    Example: inhand enable
    """


@dataclass(frozen=True)
class Disable(_Verb):
    """Switch torque off.

    Example: inhand disable
    """


@dataclass(frozen=True)
class Home(_Verb):
    """Move slowly to the rest pose.

    Example: inhand home
    """


@dataclass(frozen=True)
class Arm(_Verb):
    """Get ready for goals; needs the object in the hand.

    Example: inhand arm
    """


@dataclass(frozen=True)
class Disarm(_Verb):
    """Leave the armed modes.

    Example: inhand disarm
    """


@dataclass(frozen=True)
class Cancel(_Verb):
    """Forget all goals.

    Example: inhand cancel
    """


@dataclass(frozen=True)
class Hold(_Verb):
    """Stop where the hand is.

    Example: inhand hold
    """


@dataclass(frozen=True)
class Estop(_Verb):
    """Emergency stop; stays until cleared.

    Example: inhand estop
    """


@dataclass(frozen=True)
class Clear(_Verb):
    """End a fault or an emergency stop; torque stays off.

    Example: inhand clear
    """


@dataclass(frozen=True)
class Shutdown(_Verb):
    """End the daemon.

    Example: inhand shutdown
    """


@dataclass(frozen=True)
class _Terms(_Verb):
    """Attributes:
    tolerance: Largest error that counts as reached [rad].
    hold: Seconds the error must stay below it.
    timeout: Seconds after which to go on to the next goal.
    replace: Forget the goals that are active or waiting.
    """

    tolerance: float | None = None
    hold: float | None = None
    timeout: float | None = None
    replace: bool = False

    @property
    def terms(self) -> dict[str, object]:
        return {
            "tolerance": self.tolerance,
            "hold": self.hold,
            "timeout": self.timeout,
            "replace": self.replace,
        }


@dataclass(frozen=True)
class Goal(_Terms):
    """Turn the object to one orientation.

    Example: inhand goal --face +x

    Attributes:
        quaternion: World from object, w x y z.
        face: Name of the face to turn up.
        heading: With face: rotation about the vertical [rad].
        rotation: Rotation vector from where the object is, world frame [rad].
    """

    quaternion: tuple[float, float, float, float] | None = None
    face: str | None = None
    heading: float | None = None
    rotation: tuple[float, float, float] | None = None

    def run(self) -> int:
        return self.send(
            "goal",
            quaternion=self.quaternion,
            face=self.face,
            heading=self.heading,
            rotation=self.rotation,
            **self.terms,
        )


@dataclass(frozen=True)
class Goals(_Terms):
    """Queue orientations from a JSON file: a list of objects like `inhand goal`'s members.

    Example: inhand goals --file goals.json

    Attributes:
        file: The file; - is standard input.
    """

    file: Annotated[str, tyro.conf.arg(metavar="FILE")] = "-"

    def run(self) -> int:
        try:
            raw = sys.stdin.buffer.read() if self.file == "-" else Path(self.file).read_bytes()
            goals = msgspec.json.decode(raw)
        except OSError as error:
            raise ConfigError(f"goals file {self.file}: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise ConfigError(f"goals file {self.file}: {error}") from error
        return self.send("goals", goals=goals, **self.terms)


@dataclass(frozen=True)
class RandomGoals(_Terms):
    """Draw goals at random, one after another.

    Example: inhand random-goals --count 10

    Attributes:
        count: How many; 0 draws without end.
        kind: All orientations, or one face up with any heading.
        max_angle: Largest rotation of a goal from where the object is [rad].
        seed: Makes the goals repeatable.
    """

    count: int = 0
    kind: Literal["so3", "face-up"] = "so3"
    max_angle: float | None = None
    seed: int | None = None

    def run(self) -> int:
        return self.send(
            "random_goals",
            count=self.count,
            kind=self.kind,
            max_angle=self.max_angle,
            seed=self.seed,
            **self.terms,
        )


@dataclass(frozen=True)
class LoadPolicy(_Verb):
    """Load another policy from the daemon's directory, if its allow-list has it.

    Example: inhand load-policy block.onnx

    Attributes:
        policy: File name, or the start of its SHA-256.
    """

    policy: tyro.conf.Positional[str] = ""

    def run(self) -> int:
        return self.send("load_policy", policy=self.policy)


@dataclass(frozen=True)
class Events(_Verb):
    """List what happened.

    Example: inhand events --since 10

    Attributes:
        since: List only events with larger numbers.
    """

    since: int = 0

    def run(self) -> int:
        return self.send("events", since=self.since)

    def show(self, reply: Message) -> None:
        if self.json:
            print(_json(reply))
            return
        for event in reply["events"]:
            details = {k: v for k, v in event.items() if k not in ("n", "t", "kind")}
            shown = "  ".join(f"{key}={value}" for key, value in details.items())
            print(f"{event['n']:5d}  {event['t']:.3f}  {event['kind']}  {shown}".rstrip())


@dataclass(frozen=True)
class ConfigVerb:
    """Check a configuration file, or show every key with its value.

    Example: inhand config check inhand.toml

    Attributes:
        action: `check` says whether it is right, `show` prints it with all defaults.
        file: The file; without it, `show` prints the defaults.
    """

    action: tyro.conf.Positional[Literal["check", "show"]]
    file: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="FILE")] = None

    def run(self) -> int:
        """Reads the file."""
        if self.action == "check" and self.file is None:
            raise ConfigError("config check: name the file to check")
        config = load_config(self.file)
        print(show_config(config) if self.action == "show" else f"{self.file}: all right")
        return 0


_VERBS: dict[str, Any] = {
    "status": Status,
    "enable": Enable,
    "disable": Disable,
    "home": Home,
    "arm": Arm,
    "disarm": Disarm,
    "goal": Goal,
    "goals": Goals,
    "random-goals": RandomGoals,
    "cancel": Cancel,
    "hold": Hold,
    "estop": Estop,
    "clear": Clear,
    "load-policy": LoadPolicy,
    "events": Events,
    "shutdown": Shutdown,
    "config": ConfigVerb,
}

_ELSEWHERE = {
    # verb: (module, function taking the arguments after the verb, extra, what it does)
    "demo": ("controller.demo", "sim", "start a simulated hand and send it goals"),
    "eval": ("training.evaluation", "train", "measure a policy in either engine"),
    "train": ("training.train", "train", "train a policy"),
    "policy": ("training.export", "train", "export a policy"),
}


def main() -> None:
    """Entry point of `inhand`."""
    arguments = sys.argv[1:]
    try:
        if arguments and arguments[0] in _ELSEWHERE:
            sys.exit(_elsewhere(arguments))
        verb = tyro.extras.subcommand_cli_from_dict(
            _VERBS,
            prog="inhand",
            description=_description(),
            args=arguments,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        sys.exit(verb.run())
    except (InhandError, PerceptionError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _elsewhere(arguments: list[str]) -> int:
    """Runs a verb whose module need not be installed on a robot."""
    verb, *rest = arguments
    name, extra, _ = _ELSEWHERE[verb]
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{verb}: {error.name} is not installed; install it with "
            f"`pip install 'inhand[{extra}]'`"
        ) from error
    sys.argv = [f"inhand {verb}", *rest]
    return int(module.main() or 0)


def _description() -> str:
    others = "\n".join(f"  {verb}: {what}" for verb, (_, _, what) in _ELSEWHERE.items())
    return f"Commands a daemon that runs (inhandd). Further verbs:\n{others}"


def _json(reply: Message) -> str:
    return msgspec.json.encode(reply).decode()


def _lines(reply: Message) -> str:
    return "\n".join(f"{key}: {value}" for key, value in reply.items())


def _status(reply: Message) -> str:
    if reply["mode"] == "starting":
        return "mode: starting"
    seen, goal, tick = reply["object"]["pose"], reply["goal"], reply["tick"]
    where = "never seen"
    if seen is not None:
        position = ", ".join(f"{x:.3f}" for x in seen["position"])
        where = f"at ({position}) m, seen {seen['age']:.2f} s ago"
    policy = reply["policy"]
    lines = [
        f"mode: {reply['mode']} ({reply['reason']})",
        f"object: {'in the hand' if reply['object']['in_hand'] else 'not in the hand'}, {where}",
        f"policy: {policy['name'] if policy else 'none'}",
        f"goals: {reply['reached']} reached, {reply['missed']} missed, {reply['waiting']} waiting",
        f"ticks: {tick['ticks']}, {100 * tick['recent_on_time_share']:.1f} % on time lately",
    ]
    if goal is not None:
        lines.append(f"goal {goal['number']}: {goal['error']:.2f} rad to go")
    if reply["bus"]["problem"]:
        lines.append(f"bus: {reply['bus']['problem']}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
