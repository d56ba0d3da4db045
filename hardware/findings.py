"""Findings of `inhand doctor`: one record for each check."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["good", "warning", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check.

    Attributes:
        name: of the check, in a few words.
        verdict: `bad` if the hand cannot work, `warning` if it works less well.
        detail: what was found.
        remedy: what to do; empty if nothing is wrong.
    """

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def as_text(findings: Sequence[Finding]) -> str:
    """A line for each finding, and another for its remedy."""
    width = max((len(one.name) for one in findings), default=0)
    lines = []
    for one in findings:
        lines.append(f"{one.verdict:8} {one.name:{width}}  {one.detail}")
        if one.remedy:
            lines.append(f"{'':8} {'':{width}}  → {one.remedy}")
    return "\n".join(lines)
