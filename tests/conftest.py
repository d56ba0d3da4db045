"""Processes of the tests share compiled modules; tests without PyBullet's wheels are skipped."""

import os
import sys
from collections.abc import Generator
from importlib.util import find_spec

import pytest

from inhand.errors import NEWEST_OF_PYBULLET

# Tests run in several processes, with other programs beside them: threads of numerical libraries
# that wait for each other take many times as long then. Set before any test imports numpy or torch.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# Hundreds of processes import the same modules. If none may keep what it has compiled, they compile
# for a third of the suite's time. Children inherit the variable, this process reads the other.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

LONG = {
    "test_bring_up.py",
    "test_checkup.py",
    "test_commands_run.py",
    "test_end_to_end.py",
    "test_evaluation.py",
    "test_import_name.py",
    "test_install.py",
    "test_joints.py",
    "test_json.py",
    "test_link_servos.py",
    "test_main.py",
    "test_moving_picture.py",
    "test_page.py",
    "test_picture.py",
    "test_refine.py",
    "test_repeated_runs.py",
    "test_replay.py",
    "test_report_command.py",
    "test_requests_fuzz.py",
    "test_return_to_range.py",
    "test_robust_lens.py",
    "test_screens.py",
    "test_simulated_time.py",
    "test_start_and_end.py",
    "test_teacher.py",
    "test_universe_effects.py",
    "test_vision.py",
}
"""The files that take longest. They begin first: one that began last would leave a core idle."""

WITHOUT_PYBULLET = find_spec("pybullet") is None and sys.version_info[:2] > NEWEST_OF_PYBULLET
REASON = f"PyBullet has wheels up to Python {'.'.join(map(str, NEWEST_OF_PYBULLET))}"


def _process() -> dict[str, object]:
    """What later tests of this process, and the processes that they start, take over."""
    return {
        "scheduling policy": os.sched_getscheduler(0),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "processors": os.sched_getaffinity(0),
        "directory": os.getcwd(),
    }


@pytest.fixture(autouse=True)
def process_stays_as_it_is() -> Generator[None]:
    """A test that leaves its process otherwise fails, and not one of those that come after it."""
    before = _process()
    yield
    assert _process() == before


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if WITHOUT_PYBULLET and report.failed and "No module named 'pybullet'" in str(report.longrepr):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, REASON)
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts long files first; otherwise the order stays as it is, which is random."""
    items.sort(key=lambda item: item.path.name not in LONG)
