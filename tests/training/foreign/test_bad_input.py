"""What cannot be wrapped is refused in one sentence, and nothing is written."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inhand.controller.cli import main
from inhand.errors import InhandError
from inhand.training.foreign.wrap import wrap
from tests.training.foreign.networks import PLAYGROUND_MAP, playground_form, write_pair

Run = Callable[..., tuple[int | str | None, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `inhand policy`; returns its exit code, or the error, and what it printed."""

    def run(*arguments: str | Path) -> tuple[int | str | None, str]:
        monkeypatch.setattr(sys, "argv", ["inhand", "policy", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        return ended.value.code, capsys.readouterr().out

    return run


def refused(
    folder: Path, words: str, model: onnx.ModelProto | None = None, text: str = PLAYGROUND_MAP
) -> None:
    foreign, map_file = write_pair(folder, model, text)
    with pytest.raises(InhandError, match=words) as caught:
        wrap(foreign, map_file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("rate = 20\n", "", "missing required field `rate`"),
        ("scale = 0.5", "scale = 0.5\ncolour = 1", r"unknown field `colour` - at `\$.action`"),
        ('kind = "delta"', 'kind = "torque"', "Invalid enum value 'torque'"),
        ("rate = 20", "rate = 0", "rate = 0 Hz must be above 0"),
        ("rate = 20", "rate = 200", "at most tick_rate = 100 Hz; for a faster policy"),
        ("rate = 20", "rate = nan", "a number that is not finite"),
        ('hand = "leap"', 'hand = "claw"', "no hand file .*claw.toml"),
        ('object = "block"', 'object = "cup"', "no object file .*cup.toml"),
        ('name = "target_error"', 'name = "joint_position"', "two parts .* 'joint_position'"),
        ('name = "target_error"', 'name = "constant"', "the source constant needs a `value`"),
        ('name = "target_error"', 'name = "torques"', "no source 'torques'; there are joint_pos"),
        ("select = [3, 4, 5, 6, 7, 8]", "", r"have 60 elements \(joint_position 16, .*has 57"),
        ("select = [3,", "select = [9,", "names element 9, there are 9, numbered from 0"),
        ("scale = -1.0", "scale = [1.0, 2.0]", "scale has 2 numbers for 3 elements"),
        ("inverse = true", "normalized = true", "only joints can be normalized"),
        ("scale = -1.0", "inverse = true", "only a rotation to go has an inverse"),
        ("scale = -1.0", "value = [1.0]", "only the source constant has a `value`"),
        (
            "[action]",
            '[joints]\norder = ["if_mcp"]\n[action]',
            "1 in the order and 0 fixed, hand",
        ),
        ("[action]", '[joints]\norder = ["thumb"]\n[action]', "hand leap has no joint 'thumb'"),
        (
            "[action]",
            "[joints]\nsigns = [1.0, -1.0]\n[action]",
            "joints.signs has 2 numbers for 16",
        ),
        ("[action]", "[joints]\nsigns = SIGNS\n[action]", "every sign is 1 or -1"),
        (
            "[action]",
            "[joints.fixed]\nif_mcp = 9.0\n[action]",
            "9 rad is out of the range of if_mcp",
        ),
        ("[action]", "[normalization]\nmean = [1.0]\n[action]", "mean has 1 numbers for 57"),
        ("[action]", "[normalization]\ndeviation = 0.0\n[action]", "deviation must be above 0"),
        ("[action]", "[frame]\nworld = [1.0, 1.0, 0.0, 0.0]\n[action]", "frame.world has length"),
        ("[action]", '[network]\naction = "mean"\n[action]', "has no output 'mean'; it has cont"),
        ("[action]", '[network]\nobservation = "x"\n[action]', "has no input 'x'; it has obs"),
        ("[action]", '[network.state]\nh = "h"\n[action]', "network.state: it has no input 'h'"),
        ("[action]", "[history]\nsteps = 2\n[action]", "have 114 elements .*, times 2 steps"),
        ("[action]", "[action", "policy map .*map.toml"),
    ],
)
def test_maps_that_do_not_fit(tmp_path: Path, before: str, after: str, words: str) -> None:
    assert before in PLAYGROUND_MAP
    text = PLAYGROUND_MAP.replace(before, after, 1).replace("SIGNS", str([0.5] * 16))
    refused(tmp_path, words, text=text)


def test_no_observation_and_joints_that_are_missing_or_named_twice(tmp_path: Path) -> None:
    head, _, rest = PLAYGROUND_MAP.partition("[[observation]]")
    action = rest[rest.index("[action]") :]
    refused(tmp_path, "observation is empty", text=f"{head}\nobservation = []\n{action}")
    few = playground_form(outputs=15)
    names = [
        f"{finger}_{part}" for finger in ("if", "mf", "rf") for part in ("mcp", "rot", "pip", "dip")
    ]
    names += ["th_cmc", "th_axl", "th_mcp"]
    refused(
        tmp_path,
        "15 in the order and 0 fixed, hand leap has 16; add th_ipl to joints.order",
        few,
        f"{PLAYGROUND_MAP}\n[joints]\norder = {names}\n",
    )
    refused(
        tmp_path,
        "if_mcp is named more than once",
        few,
        f"{PLAYGROUND_MAP}\n[joints]\norder = {[*names, 'if_mcp']}\n",
    )


def test_networks_of_other_shapes(tmp_path: Path) -> None:
    refused(tmp_path, "have 57 elements .*input 'obs' has 58", playground_form(inputs=58))
    refused(
        tmp_path, "'continuous_actions' has 20 elements, the map has 16", playground_form(57, 20)
    )
    open_size = playground_form()
    open_size.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "n"
    refused(tmp_path, "size of input 'obs' is left open", open_size)
    batch = playground_form()
    batch.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    refused(tmp_path, "acts for a batch of 4 at once; export it with a batch of 1", batch)
    whole = playground_form()
    whole.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32
    whole.graph.node.insert(0, helper.make_node("Cast", ["obs"], ["real"], to=TensorProto.FLOAT))
    whole.graph.node[1].input[0] = "real"
    refused(tmp_path, "'obs' holds int32, not floating-point", whole)


def test_two_inputs_or_outputs_of_which_none_is_named(tmp_path: Path) -> None:
    two = playground_form()
    two.graph.input.append(helper.make_tensor_value_info("noise", TensorProto.FLOAT, [1, 16]))
    two.graph.node.append(helper.make_node("Add", ["noise", "y2"], ["value"]))
    two.graph.output.append(helper.make_tensor_value_info("value", TensorProto.FLOAT, None))
    refused(tmp_path, "which input is the observation.*noise, obs", two)
    named = f'{PLAYGROUND_MAP}\n[network]\nobservation = "obs"\n'
    refused(tmp_path, "which output is the action.*continuous_actions, value", two, named)
    named += 'action = "continuous_actions"\n'
    refused(tmp_path, "nothing is mapped to the input 'noise'", two, named)


def test_files_that_are_too_new_too_old_or_none(tmp_path: Path) -> None:
    refused(tmp_path, "it has opset 99, ONNX Runtime .* reads up to", playground_form(opset=99))
    new = playground_form()
    new.ir_version = 99
    refused(tmp_path, "it has IR version 99", new)
    unknown = playground_form()
    unknown.graph.node[2].op_type = "Teleport"
    refused(tmp_path, "ONNX Runtime cannot load it.*Teleport.*export it in float32", unknown)
    foreign, map_file = write_pair(tmp_path)
    for content, words in ((b"", "not an ONNX file"), (b"\x07" * 99, "not an ONNX file")):
        foreign.write_bytes(content)
        with pytest.raises(InhandError, match=words):
            wrap(foreign, map_file)
    with pytest.raises(InhandError, match="No such file"):
        wrap(tmp_path / "none.onnx", map_file)
    with pytest.raises(InhandError, match="none.toml.*No such file"):
        wrap(foreign, tmp_path / "none.toml")


def external(model: onnx.ModelProto, location: str) -> onnx.ModelProto:
    """The model with the first weights in another file."""
    tensor = model.graph.initializer[2]
    (place := tensor.external_data.add()).key, place.value = "location", location
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    return model


def test_data_in_another_file_are_taken_in_if_they_are_beside_it(tmp_path: Path) -> None:
    weights = playground_form().graph.initializer[2].raw_data
    (tmp_path / "w.bin").write_bytes(weights)
    foreign, map_file = write_pair(tmp_path, external(playground_form(), "w.bin"))
    made = wrap(foreign, map_file)
    plain = wrap(*write_pair(tmp_path))
    assert "took in the data" in made.network.notes[0]
    assert made.adapted.model.graph == plain.adapted.model.graph
    refused(tmp_path, "cannot be read .*same folder", external(playground_form(), "lost.bin"))
    (tmp_path.parent / "outside.bin").write_bytes(weights)
    refused(tmp_path, "cannot be read .*", external(playground_form(), "../outside.bin"))
    (tmp_path / "w.bin").write_bytes(weights[:10])
    refused(tmp_path, "policy .*foreign.onnx", external(playground_form(), "w.bin"))


def test_actions_that_are_not_finite(tmp_path: Path) -> None:
    broken = playground_form()
    broken.graph.initializer[3].CopyFrom(numpy_helper.from_array(np.full(64, np.nan, "f4"), "b0"))
    refused(tmp_path, "actions that are not finite; look for divisions by zero", broken)


def test_actions_that_are_drawn_at_random(tmp_path: Path) -> None:
    drawn = playground_form()
    last = drawn.graph.node[-1]
    last.output[0] = "plain"
    drawn.graph.node.append(helper.make_node("RandomNormalLike", ["plain"], ["noise"]))
    drawn.graph.node.append(helper.make_node("Add", ["plain", "noise"], ["continuous_actions"]))
    refused(tmp_path, "draws at random .RandomNormalLike.*export the mean of its actions", drawn)


def test_nothing_is_written_or_replaced_if_something_is_wrong(run: Run, tmp_path: Path) -> None:
    foreign, map_file = write_pair(tmp_path, playground_form(inputs=58))
    out = tmp_path / "mine.onnx"
    code, printed = run("wrap", foreign, "--map", map_file, "--out", out)
    assert str(code).startswith("error: policy map") and not printed
    out.write_text("mine")
    foreign, map_file = write_pair(tmp_path)
    code, _ = run("wrap", foreign, "--map", map_file, "--out", out)
    assert "exists; name another, or add --overwrite" in str(code)
    code, _ = run("wrap", foreign, "--map", map_file, "--out", tmp_path / "mine.txt")
    assert "ends in .onnx" in str(code)
    assert out.read_text() == "mine"
    assert {file.name for file in tmp_path.iterdir()} == {"foreign.onnx", "map.toml", "mine.onnx"}


def test_the_commands_say_what_they_made(run: Run, tmp_path: Path) -> None:
    foreign, map_file = write_pair(tmp_path)
    out = tmp_path / "mine.onnx"
    code, printed = run("wrap", foreign, "--map", map_file, "--out", out)
    assert code == 0
    for words in ("joint_position 16", "20 Hz", "a batch that was left open is 1 now", "allow = ["):
        assert words in printed
    code, printed = run("wrap", foreign, "--map", map_file, "--out", out, "--overwrite", "--json")
    told = json.loads(printed)
    assert code == 0 and told["observation"]["last_action"] == 16 and told["rate"] == 20
    code, printed = run("check", out, "--json")
    told = json.loads(printed)
    assert code == 0 and told["ok"] and told["golden_steps"] == 10 and told["hand"] == "leap"
    code, printed = run("check", out)
    assert code == 0 and printed.endswith("all right\n")
    code, printed = run("check", foreign, "--json")
    told = json.loads(printed)
    assert code == 1 and len(told["faults"]) == 2
    assert "inhand policy wrap" in told["faults"][0] and "open batch 1" in told["faults"][1]
    assert (
        run("bend", out)[0]
        == "error: policy bend: no such verb; there are wrap, check, export and compact"
    )
