"""Figures and ages: the server and the browser write them alike, by the same list of cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dashboards.figures import age, figure

CASES = json.loads(Path(__file__).with_name("figures.json").read_text())


@pytest.mark.parametrize(("value", "most_decimals", "text"), CASES["figures"])
def test_a_value_is_written_in_the_digits_that_count(value, most_decimals, text):
    assert figure(value, most_decimals) == text


@pytest.mark.parametrize(("seconds", "text"), CASES["ages"])
def test_an_age_is_written_in_its_largest_unit(seconds, text):
    assert age(seconds) == text
