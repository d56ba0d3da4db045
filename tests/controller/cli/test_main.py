"""`inhand`: help, requests to a served hand, and errors in one line with an exit code."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inhand.controller.cli import main
from inhand.controller.policy.files import SHIPPED
from inhand.errors import remedy
from inhand.hardware.model.hand import HANDS
from tests.controller import tiny_policy
from tests.controller.bench_hand import HAND
from tests.controller.served import Served

VERBS = [*main._VERBS, *main._COMMANDS]
Run = Callable[..., tuple[int | str | None, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; returns its exit code, or the error, and what it printed."""

    def run(*arguments: str) -> tuple[int | str | None, str]:
        monkeypatch.setattr(sys, "argv", ["inhand", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        return ended.value.code, capsys.readouterr().out

    return run


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("INHAND_DIRECTORY", str(tmp_path))
    tick = {"ticks": 5, "recent_on_time_share": 0.98}
    bus = {"errors": 1, "problem": "the cable is out"}
    with Served(tmp_path, statistics=lambda: {"tick": tick, "bus": bus}) as served:
        yield served


def without(package: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs `inhand` where a package is not installed."""
    program = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv = ['inhand', *{arguments!r}]; "
        "from inhand.controller.cli.main import main; main()"
    )
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_helps_with_an_example(run: Run, verb: str) -> None:
    if verb in ("train", "policy"):
        pytest.importorskip("torch")
    code, printed = run(verb, "--help")
    assert code == 0
    assert "usage: inhand" in printed and "Example: inhand" in printed


def test_help_names_every_verb(run: Run) -> None:
    code, printed = run("--help")
    assert code == 0
    for verb in VERBS:
        assert verb in printed


def test_without_a_daemon_every_request_says_so(run: Run, tmp_path: Path) -> None:
    for verb in ("status", "estop", "goal", "random-goals", "events"):
        code, printed = run(verb, "--directory", str(tmp_path))
        assert printed == ""
        assert code == (
            f"error: no daemon in {tmp_path}; start one with `inhandd --sim`, or say where it is "
            "with --directory"
        )


def test_the_exit_code_of_an_error_is_1(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "inhand.controller.cli.main",
        "status",
        "--directory",
        str(tmp_path),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: no daemon") and ended.stderr.count("\n") == 1


def test_a_closed_output_pipe_is_not_an_error_message() -> None:
    program = f"{sys.executable} -m inhand.controller.cli.main config show"
    command = f"{program} | true; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_requests_and_their_replies(run: Run, served: Served) -> None:
    while "object: in the hand" not in run("status")[1]:
        pass
    assert run("enable") == (0, "mode: holding\n")
    assert run("enable", "--json") == (0, '{"mode":"holding"}\n')
    assert run("arm")[1] == "mode: ready\n"
    code, printed = run("goal", "--rotation", "0", "0", "3", "--tolerance", "0.1", "--json")
    assert json.loads(printed) == {"mode": "running", "goals": [1]}
    assert run("goal", "--face", "+x", "--heading", "1.0")[0] == 0
    assert run("random-goals", "--count", "2", "--kind", "face-up")[1].endswith("[3, 4]\n")
    code, printed = run("status")
    assert code == 0
    for words in ("mode: running", "3 waiting", "98.0 % on time", "rad to go", "tiny.onnx"):
        assert words in printed
    assert "bus: the cable is out" in printed
    assert run("cancel")[1] == "mode: ready\nforgotten: 4\n"
    for verb, mode in (("disarm", "holding"), ("home", "holding"), ("hold", "holding")):
        assert run(verb)[1] == f"mode: {mode}\n"
    code, printed = run("events")
    assert "object_in_hand" in printed and "cause=enable" in printed
    code, printed = run("events", "--since", "1", "--json")
    assert json.loads(printed)["events"][0]["n"] == 2
    assert run("estop")[1] == "mode: estop\n"
    assert run("clear")[1] == "mode: off\n"
    assert run("disable")[1] == "mode: off\n"
    assert "tiny.onnx" in run("load-policy", "tiny.onnx")[1]


def test_a_policy_is_checked_without_the_library_that_makes_one() -> None:
    checked = without("onnx", "policy", "check", str(SHIPPED / "block.onnx"))
    assert checked.returncode == 0 and checked.stdout.endswith("all right\n")
    wrapped = without("onnx", "policy", "wrap", "a.onnx", "--map", "a.toml", "--out", "b.onnx")
    assert wrapped.stderr == f"error: policy: onnx is not installed; {remedy('policy')}\n"


def test_joints_are_moved(run: Run, served: Served, tmp_path: Path) -> None:
    run("enable")
    code, printed = run("joints", "FFJ3=0.5", "--speed", "2", "--json")
    assert code == 0 and json.loads(printed)["left"] <= 1e-3
    assert json.loads(printed)["mode"] == "manual"
    file = tmp_path / "wave.json"
    file.write_text('{"times": [0.4, 0.8], "positions": [[0.8], [0.5]], "joints": ["FFJ3"]}')
    assert run("joints", "--file", str(file))[0] == 0
    assert abs(served.bench.servos[HAND.actuator_names.index("FFJ3")] - 0.5) < 0.02
    for arguments, words in (
        (("hook=1",), "dactyl24 has no joint 'hook'; it has WRJ2"),
        (("FFJ3=left",), "'FFJ3=left' is no target; write a joint and its angle"),
        (("FFJ3",), "'FFJ3' is no target"),
        (("FFJ3=nan",), "'FFJ3=nan' is no target"),
        (("FFJ3=inf",), "'FFJ3=inf' is no target"),
        (("FFJ3=0.5", "FFJ3=0.6"), "'FFJ3' is given twice"),
        ((), "give targets like FFJ3=0.5, or a trajectory"),
        (("FFJ3=1", "--file", str(file)), "give targets like FFJ3=0.5, or a trajectory"),
        (("--file", str(tmp_path / "no.json")), "no.json: No such file"),
    ):
        assert words in str(run("joints", *arguments)[0])
    file.write_text("{")
    assert "wave.json: Input data was truncated" in str(run("joints", "--file", str(file))[0])


def test_refusals_are_errors_in_one_line(run: Run, served: Served) -> None:
    assert str(run("arm")[0]).startswith("error: arm: not in mode off; possible now: enable")
    assert "no such file" in str(run("load-policy", "nothing")[0])
    assert "unit length" in str(run("goal", "--quaternion", "1", "1", "0", "0")[0])
    assert "exactly one" in str(run("goal")[0])
    assert run("load-policy")[0] == 2
    assert run("no-such-verb")[0] == 2


def test_goals_from_a_file(
    run: Run, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "goals.json"
    file.write_text('[{"face": "+x"}, {"rotation": [0, 0, 1]}]')
    assert "not in mode off" in str(run("goals", "--file", str(file))[0])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'[{"face": 1}]')))
    assert "goals[0].face" in str(run("goals")[0])
    file.write_text("[")
    assert str(run("goals", "--file", str(file))[0]).startswith(f"error: goals file {file}: ")
    assert "No such file" in str(run("goals", "--file", str(tmp_path / "none.json"))[0])


def test_config_check_and_show(run: Run, tmp_path: Path) -> None:
    code, printed = run("config", "show")
    assert code == 0 and "tick_rate = 100" in printed
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(printed)
    bad.write_text("tik_rate = 100")
    assert run("config", "check", "--sim", str(good)) == (0, f"{good}: all right\n")
    missing = "no cameras: inhandd starts with --sim alone"
    said = f"{missing}\n{good}: all right, but see above\n"
    assert run("config", "check", str(good)) == (0, said)
    code, printed = run("config", "check", str(good), "--json")
    assert code == 0
    assert json.loads(printed) == {"file": str(good), "ok": True, "missing": [missing]}
    code, printed = run("config", "show", "--json")
    assert code == 0 and json.loads(printed)["bus"]["watchdog"] == 0.1
    assert "unknown field `tik_rate`" in str(run("config", "check", str(bad))[0])
    assert "No such file" in str(run("config", "check", str(tmp_path / "none"))[0])
    assert run("config", "check")[0] == "error: config check: name the file to check"
    # What it names is looked at too.
    hand = tmp_path / "hand.toml"
    text = (HANDS / "leap.toml").read_text()
    hand.write_text(text.replace("id = 2, sign = 1, zero = 0.0", "id = 2, sign = 1, zero = 4.0"))
    bad.write_text(f'hand = "{hand}"')
    code = str(run("config", "check", str(bad))[0])
    assert "crosses the end of its servo's turn" in code and str(hand) in code


def test_sim_on_a_newer_python_is_one_sentence() -> None:
    assert remedy("sim", (3, 11)) == "install it with `pip install 'inhand[sim]'`"
    said = remedy("sim", (3, 13))
    assert said.startswith("it has wheels up to Python 3.11 and this is 3.13: use Python 3.11")
    assert remedy("view", (3, 13)) == "install it with `pip install 'inhand[view]'`"


@pytest.mark.parametrize(
    ("package", "extra", "verb"),
    [
        ("torch", "train", "train"),
        ("onnx", "policy", "policy"),
        ("torch", "train", "policy"),
        ("pybullet", "sim", "eval"),
        ("mujoco", "train", "probe"),
        ("sklearn", "train", "probe"),
        ("matplotlib", "train", "transfer"),
    ],
)
def test_an_extra_that_is_not_installed(
    tmp_path: Path, package: str, extra: str, verb: str
) -> None:
    helps = ("train", "policy", "probe", "transfer")
    arguments = ["--help"] if verb in helps else None
    if verb == "policy":
        arguments = ["wrap" if package == "onnx" else "export", "--help"]
    if arguments is None:
        tiny_policy.write_policy(tmp_path / "p.onnx", HAND)
        arguments = ["--policy", str(tmp_path / "p.onnx"), "--engine", "pybullet", "--trials", "1"]
    ended = without(package, verb, *arguments)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"error: {verb}: {package} is not installed; "
        f"install it with `pip install 'inhand[{extra}]'`"
    )
    assert "Traceback" not in ended.stderr


def test_bash_completes_verbs_and_options(tmp_path: Path) -> None:
    words = tmp_path / "inhand.bash"
    command = [sys.executable, "-m", "inhand", "--tyro-print-completion", "bash"]
    words.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    program = (
        f"source {words}; complete=$(complete -p inhand); complete=${{complete#*-F }}; "
        'complete=${complete%% *}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '$complete inhand "${!#}" "${@:$COMP_CWORD:1}"; echo "${COMPREPLY[@]}"'
    )

    def completed(*typed: str) -> list[str]:
        shell = ["bash", "-c", program, "bash", *typed]
        done = subprocess.run(shell, check=True, capture_output=True, text=True)
        return done.stdout.split()

    assert completed("inhand", "est") == ["estop"]
    assert {"view", "vision"} <= set(completed("inhand", "vi"))
    assert "--face" in completed("inhand", "goal", "--fa")


def test_rerun_that_is_not_installed() -> None:
    ended = without("rerun", "view", "--rerun")
    assert ended.returncode == 1
    assert ended.stderr == (
        "error: view: rerun is not installed; install it with `pip install 'inhand[rerun]'`\n"
    )


def test_a_short_verb_loads_no_library_of_cameras_and_networks() -> None:
    program = (
        "import sys, inhand.controller.cli.main; "
        "print({'cv2', 'onnxruntime', 'torch', 'viser', 'matplotlib'} & sys.modules.keys())"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert said.stdout == "set()\n", said.stderr
