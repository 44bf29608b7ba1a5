"""Who asks for readings in these tests."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from rest_framework.test import APIClient

from accounts.permissions import Actor
from readings.tests.records import ApiOf


@pytest.fixture
def vera(cast: SimpleNamespace, api_of: ApiOf) -> APIClient:
    return api_of(cast.vera)


@pytest.fixture
def as_boiler(cast: SimpleNamespace) -> APIClient:
    """The boiler itself, as its key authenticates it."""
    client = APIClient()
    client.force_authenticate(Actor(organization_id=cast.acme.pk, device_id=cast.boiler.pk))
    return client
