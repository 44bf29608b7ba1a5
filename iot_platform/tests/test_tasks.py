"""What the clock tells sockets."""

import json
from types import SimpleNamespace

import pytest

from iot_platform import tasks
from readings.ingest import Message, ingest, now
from readings.models import Protocol


@pytest.mark.django_db
def test_each_organization_is_told_its_own_status_with_times_in_utc(cast: SimpleNamespace, monkeypatch):
    told: dict[int, dict] = {}
    monkeypatch.setattr(tasks, "publish", lambda organization_id, kind, item: told.update({organization_id: item}))
    payload = json.dumps({"sensor": "temperature", "value": 1}).encode()
    ingest([Message(str(cast.boiler.uuid), payload, now(), Protocol.MQTT)])
    tasks.publish_status()
    assert told[cast.acme.pk]["total_readings"] == 1
    assert told[cast.acme.pk]["last_reading_time"].endswith("Z")
    assert told[cast.globex.pk]["total_readings"] == 0
    assert told[cast.globex.pk]["last_reading_time"] is None
