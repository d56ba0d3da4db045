"""The page of a measured monitor."""

from collections.abc import Sequence

from inhand.training.evaluation.monitor_measure import WITHIN, FalseAlarms, Found, Measured


def page(report: Measured) -> str:
    """The result as a page of the documentation."""
    lines = [
        "# What the monitor finds",
        "",
        f"Written by `inhand monitor measure`. {report.policy} (SHA-256 {report.policy_sha256})",
        f"turned the {report.object}, goal after goal, in worlds of MuJoCo under noise and latency",
        f"(seed {report.seed}), watched by its monitor (SHA-256 {report.monitor_sha256}).",
        "",
        "## Alarms where nothing is unlike training",
        "",
        "| worlds | time [h] | alarms | alarms an hour | named first |",
        "|---|---|---|---|---|",
        _row_of_alarms("nominal", report.nominal),
        _row_of_alarms("drawn as in training", report.in_range),
        "",
        "## Adverse worlds",
        "",
        f"An adverse world is found if an alarm begins within {WITHIN:g} s of the policy's start",
        "[95 % interval]. A single axis is at twice its range, or as far as its model reaches; all",
        "other axes are nominal. Goals a minute and drops are those of this time; nominal worlds",
        f"have {report.nominal.goals_per_minute:.1f} goals a minute. Where they do not differ, the",
        "axis has no effect that could be found.",
        "",
        *_table("axis", report.axes),
        "",
        "The universes of `training/universes/`:",
        "",
        *_table("universe", report.universes),
    ]
    return "\n".join(lines) + "\n"


def _row_of_alarms(name: str, alarms: FalseAlarms) -> str:
    named = ", ".join(f"{what} ({n})" for what, n in alarms.names[:3]) or "–"
    return f"| {name} | {alarms.hours:.1f} | {alarms.alarms} | {alarms.per_hour:.2f} | {named} |"


def _table(what: str, found: Sequence[Found]) -> list[str]:
    lines = [
        f"| {what} | found | named first | goals a minute | worlds with a drop |",
        "|---|---|---|---|---|",
    ]
    for one in found:
        low, high = (100 * share for share in one.interval)
        share = f"{one.found} of {one.worlds} [{low:.0f}, {high:.0f} %]"
        drops = f"{100 * one.drops:.0f} %"
        rate = f"{one.goals_per_minute:.1f}"
        lines.append(f"| {one.name} | {share} | {one.likely or '–'} | {rate} | {drops} |")
    return lines
