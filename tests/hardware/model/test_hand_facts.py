"""Which changes of a hand file leave a policy valid, which are warned of, and which are refused."""

import re
from pathlib import Path

import pytest

from inhand.controller.errors import PolicyError
from inhand.controller.policy.files import SHIPPED, shipped_hashes
from inhand.controller.policy.runtime import Policy, load_policy
from inhand.hardware.model.hand import Hand, hand_file, load_hand, parse_hand
from inhand.hardware.model.hand_facts import RELEASED, differences, released_facts
from inhand.perception.objects import load_object
from tests.controller import tiny_policy

HAND = load_hand("dactyl24")
TEXT = hand_file("dactyl24").read_text()


def changed(*changes: tuple[str, str]) -> Hand:
    """The hand with these regular expressions of its file replaced, once each."""
    text = TEXT
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, count=1)
        assert count == 1, pattern
    return parse_hand(text.encode(), "of a test")


def shipped_with(hand: Hand) -> Policy:
    """The shipped policy, loaded for a hand."""
    path = SHIPPED / "block.onnx"
    return load_policy(path, hand, load_object("block"), allowed=shipped_hashes())


WITHOUT_MEANING = [
    (r"\A", "# a comment\n"),
    (r"id = 3\b", "id = 77"),
    (r"sign = 1\b", "sign = -1"),
    (r"\bzero = 0\.0", "zero = 0.5"),
    (r"\nrest = -0\.1\naction_zero = 0\.0", "\nrest = 0.111\naction_zero = 0.0"),
    (r'model = "XC330-M288"', 'model = "XC330-T288"'),
]


@pytest.mark.parametrize(("pattern", "replacement"), WITHOUT_MEANING)
def test_servos_and_comments_leave_a_policy_valid(pattern: str, replacement: str) -> None:
    hand = changed((pattern, replacement))
    assert hand.digest == HAND.digest
    assert not shipped_with(hand).differences


@pytest.mark.parametrize(
    ("pattern", "replacement", "said"),
    [
        (r"\nmass = [\d.]+", "\nmass = 0.5", r"mass 0\.\d+ → 0\.5 \(\+\d+ %\)"),
        (r"\nfriction = [\d.]+", "\nfriction = 0.125", "friction .* → 0.125"),
        (r"\ngain = [\d.]+", "\ngain = 9.0", "gain .* → 9.0"),
        (r"\ntorque_limit = [\d.]+", "\ntorque_limit = 0.1", "torque_limit .* → 0.1"),
    ],
)
def test_another_simulated_value_is_told_with_both_values(
    pattern: str, replacement: str, said: str
) -> None:
    (told,) = shipped_with(changed((pattern, replacement))).differences
    assert re.search(said, told), told


@pytest.mark.parametrize(
    ("pattern", "replacement", "said"),
    [
        (r"\naxis = \[[^\]]*\]", "\naxis = [0.0, 0.6, 0.8]", "axis"),
        (r"\norigin = \[[^\]]*\]", "\norigin = [0.5, 0.0, 0.0]", "origin"),
        (r"\nrest = 0\.0\ngain", "\nrest = 0.111\ngain", "action_zero"),
        (r"\naction_zero = 0\.0", "\naction_zero = 0.111", "action_zero"),
        (r"\nobject_start = \[[^\]]*\]", "\nobject_start = [0.1, 0.0, 0.2]", "object_start"),
    ],
)
def test_another_meaning_of_inputs_or_outputs_is_refused(
    pattern: str, replacement: str, said: str
) -> None:
    with pytest.raises(PolicyError, match=f"another version of hand dactyl24: .*{said}.* → "):
        shipped_with(changed((pattern, replacement)))


@pytest.mark.parametrize(
    "change",
    [
        (r'name = "dactyl24"', 'name = "mine"'),
        (r"\n\[\[links\]\]", '\n[[fixed_links]]\nname = "mount"\nparent = "base"\n\n[[links]]'),
        (r"(\n\[\[links\]\]\nname = [^\n]*\n)", r'\1drawings = [{ file = "wrist.stl" }]\n'),
    ],
    ids=["name", "fixed link without mass", "drawing"],
)
def test_what_the_object_does_not_feel_leaves_a_policy_valid(change: tuple[str, str]) -> None:
    assert not shipped_with(changed(change)).differences


def test_a_policy_of_another_hand_than_the_released_ones_says_what_differs(tmp_path: Path) -> None:
    own = changed((r"\nmass = [\d.]+", "\nmass = 0.5"))
    path = tmp_path / "own.onnx"
    tiny_policy.write_policy(path, own)
    block = load_object("block")
    assert not load_policy(path, own, block, allowed=None).differences
    (told,) = load_policy(path, HAND, block, allowed=None).differences
    assert "mass 0.5 → " in told


def test_rounding_and_names_of_collision_groups_leave_a_policy_valid() -> None:
    origin = re.search(r"\norigin = \[([^,]*)", TEXT)
    assert origin
    rounded = changed(
        (r"\norigin = \[[^,]*", f"\norigin = [{float(origin[1]) + 2e-10!r}"),
        (r"(?m)(?<=^\[collision_groups\]\n)\w+ =", "another_name ="),
    )
    assert rounded.digest != HAND.digest
    assert not shipped_with(rounded).differences


def test_the_order_of_links_is_a_difference() -> None:
    facts = dict(HAND.facts)
    order = dict(facts["order"])
    order["links"] = order["links"][::-1]
    assert differences(facts, {**facts, "order": order}).essential


def test_released_facts_are_those_of_the_shipped_policies() -> None:
    facts = released_facts(HAND.digest)
    assert facts == HAND.facts
    # The file of the first release; its digest is in the shipped policies and in model.lock.
    first = "2739bcb0139e8ecce48f98a0d8295cf6d61243eee1374a672527f2f6117a28a4"
    assert first in RELEASED.read_text() and HAND.digest == first
