"""Packages: pinned to one version each, and each explained."""

from __future__ import annotations

import re

import pytest

from iot_platform.tests.services import CHECKOUT

WHY = (CHECKOUT / "docs" / "decisions" / "0001-packages.md").read_text().lower()


def wanted(file: str) -> list[str]:
    return [line for line in (CHECKOUT / file).read_text().splitlines() if line and not line.startswith("-r")]


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_every_package_is_pinned_and_explained(file: str) -> None:
    for line in wanted(file):
        pinned = re.fullmatch(r"([\w-]+)(\[[\w,]+\])?==[\d.]+", line)
        assert pinned, line
        assert re.search(rf"\b{re.escape(pinned[1].lower())}\b", WHY), f"{line} is not in 0001-packages.md"


def test_no_package_is_explained_that_is_not_there() -> None:
    rows = re.findall(r"^\| ([\w-]+)", WHY, re.MULTILINE)
    names = {
        re.split(r"[\[=]", line)[0].lower()
        for file in ("requirements.txt", "requirements-dev.txt")
        for line in wanted(file)
    }
    assert set(rows) - {"package", "---"} <= names
