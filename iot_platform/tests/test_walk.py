"""The drawing of the corridor is the code: each name in it can be found there."""

import importlib
import re
from functools import reduce

import pytest
from django.conf import settings

TEXT = (settings.BASE_DIR / "docs" / "architecture.md").read_text()
DRAWING = TEXT.split("## The walk of a reading")[1].split("## ")[0]
NAMES = sorted(set(re.findall(r"\b(?:accounts|alerts|devices|iot_platform|readings)(?:\.\w+)+", DRAWING)))


def test_the_drawing_names_the_steps():
    assert len(NAMES) > 15


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_the_drawing_is_in_the_code(name: str):
    words = name.split(".")
    module = importlib.import_module(".".join(words[:2]))
    assert reduce(getattr, words[2:], module) is not None
