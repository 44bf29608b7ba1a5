from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from devices import keys
from devices.broker import BrokerAway, CheckedAtConnect
from devices.models import DeviceKey, Source


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What the broker is told, as far as keys go; test_broker.py asks a real one."""
    heard: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        CheckedAtConnect, "allow", lambda _self, username, secret, role=None: heard.append(("allow", username, role))
    )
    monkeypatch.setattr(CheckedAtConnect, "forbid", lambda _self, username: heard.append(("forbid", username)))
    return heard


@pytest.fixture
def source(cast: SimpleNamespace) -> Source:
    return Source.objects.create(
        organization=cast.acme, name="older", scheme="shared_topic", topic_filter="sensor/data", device=cast.boiler
    )


def broker_away(*_: object, **__: object) -> None:
    raise BrokerAway


def test_a_key_is_found_by_its_secret_alone(cast: SimpleNamespace) -> None:
    key, secret = keys.issue(cast.boiler, created_by=cast.adam, name="flashed in March")
    found = keys.find(secret)
    assert (found, found.device, found.name, found.created_by) == (key, cast.boiler, "flashed in March", cast.adam)


def test_the_secret_is_kept_nowhere(cast: SimpleNamespace) -> None:
    key, secret = keys.issue(cast.boiler)
    row = DeviceKey.objects.filter(pk=key.pk).values().get()
    random_part = secret.split("_", 2)[2]
    assert len(random_part) == 43
    assert all(random_part not in str(value) for value in row.values())


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: secret[:-1] + ("A" if secret[-1] != "A" else "B"),
        lambda secret: secret[:3] + "aaaaaaaa" + secret[11:],
        lambda secret: secret[:11],
        lambda secret: secret + "x",
        lambda secret: secret.upper(),
        lambda secret: "",
        lambda secret: "dk_\0aaaaaaa_" + "a" * 43,
    ],
)
def test_anything_but_the_secret_finds_nothing(cast: SimpleNamespace, change: object) -> None:
    _, secret = keys.issue(cast.boiler)
    assert keys.find(change(secret)) is None


def test_what_does_not_look_like_a_key_asks_no_database(db: None, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(0):
        assert keys.find("dk_short") is None


def test_a_key_is_found_with_one_query(cast: SimpleNamespace, django_assert_num_queries: object) -> None:
    _, secret = keys.issue(cast.boiler)
    with django_assert_num_queries(1):
        found = keys.find(secret)
        assert (found.device.organization_id, found.username) == (cast.acme.pk, str(cast.boiler.uuid))


def test_a_revoked_key_is_not_found(cast: SimpleNamespace) -> None:
    key, secret = keys.issue(cast.boiler)
    keys.revoke(key)
    assert keys.find(secret) is None


def test_the_key_of_a_deleted_device_or_organization_is_not_found(cast: SimpleNamespace) -> None:
    _, secret = keys.issue(cast.boiler)
    _, their_secret = keys.issue(cast.theirs)
    cast.boiler.deleted_at = cast.globex.deleted_at = timezone.now()
    cast.boiler.save()
    cast.globex.save()
    assert (keys.find(secret), keys.find(their_secret)) == (None, None)


def test_without_the_broker_no_key_is_issued(cast: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CheckedAtConnect, "allow", broker_away)
    with pytest.raises(BrokerAway):
        keys.issue(cast.boiler)
    assert not DeviceKey.objects.exists()


def test_without_the_broker_a_key_is_revoked_all_the_same(
    cast: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, secret = keys.issue(cast.boiler)
    monkeypatch.setattr(CheckedAtConnect, "forbid", broker_away)
    with pytest.raises(BrokerAway):
        keys.revoke(key)
    assert keys.find(secret) is None
    assert keys.broker_passwords() == {}  # so that the next reconciliation tells the broker


def test_only_the_newest_key_is_the_password_at_the_broker(cast: SimpleNamespace, told: list[tuple[str, ...]]) -> None:
    older, _ = keys.issue(cast.boiler)
    newest, _ = keys.issue(cast.boiler)
    uuid = str(cast.boiler.uuid)
    assert keys.broker_passwords() == {uuid: newest.broker_verifier}
    keys.revoke(older)
    assert told == [("allow", uuid, None), ("allow", uuid, None)]
    keys.revoke(newest)
    assert told[2:] == [("forbid", uuid)]
    assert keys.broker_passwords() == {}


def test_a_second_revocation_tells_the_broker_again_and_keeps_the_time(
    cast: SimpleNamespace, told: list[tuple[str, ...]]
) -> None:
    key, _ = keys.issue(cast.boiler)
    keys.revoke(key)
    first = key.revoked_at
    keys.revoke(key)
    assert key.revoked_at == first
    assert told[1:] == [("forbid", str(cast.boiler.uuid))] * 2


def test_a_source_has_an_account_and_keys_of_its_own(
    cast: SimpleNamespace, source: Source, told: list[tuple[str, ...]]
) -> None:
    device_key, _ = keys.issue(cast.boiler)
    source_key, secret = keys.issue(cast.boiler, source=source)
    assert told[1] == ("allow", str(source.uuid), str(source.uuid))
    assert keys.find(secret).username == str(source.uuid)
    assert keys.broker_passwords() == {
        str(cast.boiler.uuid): device_key.broker_verifier,
        str(source.uuid): source_key.broker_verifier,
    }
    keys.revoke(device_key)
    assert list(keys.broker_passwords()) == [str(source.uuid)]


def test_revoking_all_keys_of_a_device_signs_its_sources_out_too(
    cast: SimpleNamespace, source: Source, told: list[tuple[str, ...]]
) -> None:
    keys.issue(cast.boiler)
    keys.issue(cast.boiler)
    keys.issue(cast.boiler, source=source)
    keys.issue(cast.theirs)
    told.clear()
    assert keys.revoke_all(cast.boiler) == 3
    assert sorted(told) == sorted([("forbid", str(cast.boiler.uuid)), ("forbid", str(source.uuid))])
    assert list(keys.broker_passwords()) == [str(cast.theirs.uuid)]


def test_use_is_noted_at_most_once_a_minute(cast: SimpleNamespace, django_assert_num_queries: object) -> None:
    key, secret = keys.issue(cast.boiler)
    with django_assert_num_queries(1):
        keys.note_use(key)
    with django_assert_num_queries(1):
        keys.note_use(keys.find(secret))  # the one query is `find`
    DeviceKey.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    keys.note_use(keys.find(secret))
    assert timezone.now() - keys.find(secret).last_used_at < timedelta(seconds=30)
