"""What a look at the set-up found: one record for everything that `inhand doctor` looks at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["good", "warning", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what, in a few words.
        verdict: `bad` keeps the hand from working, `warning` makes it work less well.
        detail: what is so.
        remedy: what to do about it; empty where nothing is wrong.
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
