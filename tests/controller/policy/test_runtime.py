"""The policy runtime loads a policy that fits, and refuses every other in one line."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from inhand.controller.config.sections import PolicyConfig
from inhand.controller.errors import PolicyError
from inhand.controller.policy.files import file_to_load, find_policy, shipped_hashes
from inhand.controller.policy.metadata import METADATA_KEY
from inhand.controller.policy.observation import observation_size
from inhand.controller.policy.onnx_file import has_external_data
from inhand.controller.policy.onnx_session import MAX_SIZE
from inhand.controller.policy.runtime import Policy, load_policy
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from tests.controller import tiny_policy

HAND = load_hand("dactyl24")
BLOCK = load_object("block")


def load(path: Path, *, allow_all: bool = True) -> Policy:
    return load_policy(path, HAND, BLOCK, allowed=None if allow_all else frozenset())


def refused(path: Path, words: str, *, allow_all: bool = True) -> None:
    with pytest.raises(PolicyError, match=words) as caught:
        load(path, allow_all=allow_all)
    assert "\n" not in str(caught.value)


def test_state_is_carried_and_reset(tmp_path: Path) -> None:
    path = tmp_path / "p.onnx"
    tiny_policy.write_policy(path, HAND)
    policy = load(path)
    observation = np.ones(observation_size(HAND), dtype=np.float32)
    first, second = policy.act(observation), policy.act(observation)
    assert first.shape == (HAND.n_actuators,)
    assert np.abs(first - second).max() > 1e-6
    policy.reset()
    np.testing.assert_array_equal(policy.act(observation), first)


def test_allow_list_decides_by_hash(tmp_path: Path) -> None:
    path = tmp_path / "p.onnx"
    digest = tiny_policy.write_policy(path, HAND)
    refused(path, "allow-list", allow_all=False)
    assert load_policy(path, HAND, BLOCK, allowed={digest}).sha256 == digest


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx", "No such file")
    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(b"\x07" * 100)
    refused(garbage, "not an ONNX file")
    foreign = tmp_path / "foreign.onnx"
    tiny_policy.write(foreign, tiny_policy.model(HAND), None)
    refused(foreign, "foreign ONNX file")


def change(described: dict[str, Any], **members: object) -> dict[str, Any]:
    return {**described, **members}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"hand": "leap", "joints": ["x"]}, "made for hand leap"),
        ({"hand_digest": "0" * 64, "hand_facts": None}, "another version of hand"),
        ({"joints": list(reversed(HAND.joint_names))}, "joints differ: number 0"),
        ({"joints": list(HAND.joint_names[:-1])}, "the policy has 23, the hand 24"),
        ({"actuators": ["x", *HAND.actuator_names[1:]]}, "actuators differ: number 0 is x"),
        ({"object": "prism"}, "made for object prism"),
        ({"observation": []}, "laid out differently"),
        ({"quaternion_order": "xyzw"}, "quaternion_order"),
        ({"schema": 2}, "schema"),
        ({"policy_rate": 30}, "does not divide"),
        ({"action": {"kind": "torque", "smoothing": 0.5, "tick_rate": 100}}, "action.kind"),
        ({"action": {"kind": "around_rest", "smoothing": 0, "tick_rate": 100}}, "smoothing"),
        ({"golden": {"observations": [], "actions": []}}, "golden vector is empty"),
        ({"golden": {"observations": [[0.0]], "actions": [[0.0]]}}, "wrong length"),
        ({"extra": 1}, "unknown field"),
    ],
)
def test_metadata_that_do_not_fit(tmp_path: Path, members: dict[str, Any], words: str) -> None:
    built = tiny_policy.model(HAND)
    path = tmp_path / "p.onnx"
    tiny_policy.write(path, built, change(tiny_policy.metadata(HAND, built), **members))
    refused(path, words)


def test_golden_vector_is_replayed(tmp_path: Path) -> None:
    built = tiny_policy.model(HAND)
    described = tiny_policy.metadata(HAND, built)
    described["golden"]["actions"][2][5] += 3e-4
    tiny_policy.write(tmp_path / "p.onnx", built, described)
    refused(tmp_path / "p.onnx", "step 2 of its golden vector is off by 0.0003")


def test_other_shapes(tmp_path: Path) -> None:
    built = tiny_policy.model(HAND)
    described = tiny_policy.metadata(HAND, built)
    built.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 19
    tiny_policy.write(tmp_path / "p.onnx", built, described)
    refused(tmp_path / "p.onnx", "p.onnx")


def test_action_that_is_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "p.onnx"
    tiny_policy.write_policy(path, HAND)
    policy = load(path)
    with pytest.raises(PolicyError, match="not finite"):
        policy.act(np.full(observation_size(HAND), np.nan, dtype=np.float32))


def test_external_data_is_found_in_every_place(tmp_path: Path) -> None:
    built = tiny_policy.model(HAND)
    assert not has_external_data(built.SerializeToString())
    tensor = numpy_helper.from_array(np.zeros(3, dtype=np.float32), "hidden_away")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    described = tiny_policy.metadata(HAND, built)

    in_initializer = onnx.ModelProto.FromString(built.SerializeToString())
    in_initializer.graph.initializer.append(tensor)
    in_constant = onnx.ModelProto.FromString(built.SerializeToString())
    in_constant.graph.node.append(helper.make_node("Constant", [], ["k"], value=tensor))
    in_subgraph = onnx.ModelProto.FromString(built.SerializeToString())
    branch = helper.make_graph([], "branch", [], [], [tensor])
    in_subgraph.graph.node.append(
        helper.make_node("If", ["q"], ["r"], then_branch=branch, else_branch=branch)
    )
    for infected in (in_initializer, in_constant, in_subgraph):
        assert has_external_data(infected.SerializeToString())
        tiny_policy.write(tmp_path / "p.onnx", infected, described)
        refused(tmp_path / "p.onnx", "keeps data in other files")


def test_the_policy_to_start_with_goes_by_object_and_hand(tmp_path: Path) -> None:
    def name(file: str = PolicyConfig().file, hand: str = "leap") -> str:
        return file_to_load(PolicyConfig(file=file), hand, "block", tmp_path)

    assert name() == "block.onnx"
    for file in ("leap-block.onnx", "leap-mine.onnx", "leap-.onnx"):
        (tmp_path / file).touch()
    assert name() == "leap-block.onnx"
    assert name(hand="dactyl24") == "block.onnx"
    assert name(file="mine.onnx") == "mine.onnx"
    assert name(file="{object}-2.onnx") == "block-2.onnx"
    assert name(file="") == ""


def test_find_policy(tmp_path: Path) -> None:
    digest = tiny_policy.write_policy(tmp_path / "one.onnx", HAND)
    for name in ("one.onnx", "one", digest[:8]):
        assert find_policy(name, tmp_path).name == "one.onnx"
    for name in ("two", digest[:7], "../one.onnx"):
        with pytest.raises(PolicyError, match="no such file"):
            find_policy(name, tmp_path)


def test_shipped_hashes(tmp_path: Path) -> None:
    assert shipped_hashes(tmp_path) == frozenset()
    (tmp_path / "SHA256SUMS").write_text("ab  one.onnx\ncd  two.onnx\n")
    assert shipped_hashes(tmp_path) == {"ab", "cd"}


def test_a_file_too_large_to_be_a_policy(tmp_path: Path) -> None:
    with (tmp_path / "p.onnx").open("wb") as file:
        file.truncate(MAX_SIZE + 1)
    refused(tmp_path / "p.onnx", "is it a policy")


def test_a_model_that_the_runtime_cannot_run(tmp_path: Path) -> None:
    built = tiny_policy.model(HAND)
    described = tiny_policy.metadata(HAND, built)
    built.graph.node[3].op_type = "Teleport"
    tiny_policy.write(tmp_path / "p.onnx", built, described)
    refused(tmp_path / "p.onnx", "ONNX Runtime cannot load it.*Teleport")


@pytest.mark.parametrize(
    ("opset", "ir", "words"),
    [(99, 9, "it has opset 99, ONNX Runtime .* reads up to"), (17, 99, "it has IR version 99")],
)
def test_a_file_that_is_too_new(tmp_path: Path, opset: int, ir: int, words: str) -> None:
    built = tiny_policy.model(HAND)
    described = tiny_policy.metadata(HAND, built)
    built.opset_import[0].version, built.ir_version = opset, ir
    tiny_policy.write(tmp_path / "p.onnx", built, described)
    refused(tmp_path / "p.onnx", words)


def test_metadata_that_are_no_json(tmp_path: Path) -> None:
    built = tiny_policy.model(HAND)
    helper.set_model_props(built, {METADATA_KEY: "{"})
    (tmp_path / "p.onnx").write_bytes(built.SerializeToString())
    refused(tmp_path / "p.onnx", "metadata 'inhand'")


@pytest.mark.parametrize("tolerance", [0.0, 0.1, -1.0])
def test_a_golden_vector_with_a_useless_tolerance(tmp_path: Path, tolerance: float) -> None:
    built = tiny_policy.model(HAND)
    described = tiny_policy.metadata(HAND, built)
    described["golden"]["tolerance"] = tolerance
    tiny_policy.write(tmp_path / "p.onnx", built, described)
    refused(tmp_path / "p.onnx", "golden vector's tolerance")


def test_a_golden_vector_that_is_not_finite(tmp_path: Path) -> None:
    built = tiny_policy.model(HAND)
    described = tiny_policy.metadata(HAND, built)
    built.graph.initializer[2].CopyFrom(
        numpy_helper.from_array(np.full((8, HAND.n_actuators), np.nan, dtype=np.float32), "A")
    )
    tiny_policy.write(tmp_path / "p.onnx", built, described)
    refused(tmp_path / "p.onnx", "not finite")


def test_a_recurrent_state_of_another_shape(tmp_path: Path) -> None:
    built = tiny_policy.model(HAND)
    described = tiny_policy.metadata(HAND, built)
    built.graph.input[1].name = "memory"
    built.graph.node[1].input[5] = "memory"
    tiny_policy.write(tmp_path / "p.onnx", built, described)
    refused(tmp_path / "p.onnx", "input h_in must be")


def test_an_input_of_another_type(tmp_path: Path) -> None:
    built = tiny_policy.model(HAND)
    described = tiny_policy.metadata(HAND, built)
    built.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    built.graph.node.insert(0, helper.make_node("Cast", ["obs"], ["single"], to=1))
    built.graph.node[1].input[0] = "single"
    tiny_policy.write(tmp_path / "p.onnx", built, described)
    refused(tmp_path / "p.onnx", "must be float32")


def test_a_step_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "p.onnx"
    tiny_policy.write_policy(path, HAND)
    policy = load(path)
    with pytest.raises(PolicyError, match="a step failed") as caught:
        policy.act(np.zeros(3, dtype=np.float32))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [1, 10, 100, 1000])
def test_a_file_that_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "p.onnx"
    tiny_policy.write_policy(path, HAND)
    path.write_bytes(path.read_bytes()[:-cut])
    refused(path, "p.onnx")


def test_two_files_whose_hash_begins_alike(tmp_path: Path) -> None:
    digest = tiny_policy.write_policy(tmp_path / "one.onnx", HAND)
    tiny_policy.write_policy(tmp_path / "two.onnx", HAND)
    with pytest.raises(PolicyError, match="more than one such file"):
        find_policy(digest, tmp_path)
