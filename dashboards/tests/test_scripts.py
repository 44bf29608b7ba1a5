"""The arithmetic of the browser's modules, run by Node's own test runner."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).with_name("scripts")


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.test.js")), ids=lambda path: path.name)
def test_the_modules_of_the_pages_calculate_right(script):
    node = shutil.which("node")
    if node is None:
        pytest.skip("There is no `node` here to run them.")
    run = subprocess.run([node, "--test", script], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
