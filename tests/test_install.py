"""The built wheel carries everything that the program reads, away from the source tree."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOOK = """
from pathlib import Path
import inhand
from inhand.controller.policy.runtime import load_policy
from inhand.controller.policy.files import SHIPPED, find_policy, shipped_hashes
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
import inhand.sim_backend
from inhand.training.learning.run_recipe import load_recipe

assert Path(inhand.__file__).is_relative_to({site!r}), inhand.__file__
hand = load_hand("dactyl24")
students = ("block-precise-student", "block-precise-refined", "prism-precise-refined")
for name in ("block-teacher", *students):
    load_recipe(name)
assert (Path(inhand.sim_backend.__file__).parent / "model.lock").is_file()
for name in ("block", "prism"):
    file = find_policy(f"{{name}}.onnx", SHIPPED)
    print(load_policy(file, hand, load_object(name), allowed=shipped_hashes()).name)
"""


@pytest.mark.slow
def test_the_wheel_works_away_from_the_source_tree(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("inhand-*.whl")
    site = tmp_path / "site"
    install = [*pip, "install", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", LOOK.format(site=str(site))],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["block.onnx", "prism.onnx"]
    for verb in ("status", "config"):
        shown = subprocess.run(
            [str(site / "bin" / "inhand"), verb, "--help"], cwd=tmp_path, env=environment
        )
        assert shown.returncode == 0


@pytest.mark.slow
def test_a_clone_beside_a_script_does_not_hide_the_package(tmp_path: Path) -> None:
    site, lab = tmp_path / "site", tmp_path / "lab"
    (lab / "inhand").mkdir(parents=True)
    script = lab / "mine.py"
    script.write_text(
        f"import site; site.addsitedir({str(site)!r})\nfrom inhand import Client\nprint(Client)\n"
    )
    install = [sys.executable, "-m", "pip", "-q", "install", "--no-deps", "--target", str(site)]
    subprocess.run([*install, "-e", str(ROOT)], check=True)
    # Without what is installed beside: only this installation may be found.
    program = (
        "import sys, runpy; "
        "sys.meta_path = [one for one in sys.meta_path if 'editable' not in repr(one)]; "
        f"sys.path[0] = {str(lab)!r}; sys.path = [p for p in sys.path if p != {str(ROOT)!r}]; "
        f"runpy.run_path({str(script)!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "inhand.controller.client.sync.Client" in done.stdout
