"""Who asks for readings in these tests."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from rest_framework.test import APIClient

from devices import keys
from readings.tests.records import ApiOf


@pytest.fixture
def vera(cast: SimpleNamespace, api_of: ApiOf) -> APIClient:
    return api_of(cast.vera)


@pytest.fixture
def as_boiler(cast: SimpleNamespace) -> APIClient:
    """The boiler itself, with a key of its own."""
    _, secret = keys.issue(cast.boiler)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client
