"""Keys of devices and sources: issued once, found at each request, revoked for good.

A key is `dk_` with eight characters to find it by, and 256 random bits of which we keep a hash. Over HTTP it speaks for
its device. At the MQTT broker the newest key of a device, or of a source, is the password of that account.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from datetime import timedelta

from django.db.models import Max, QuerySet
from django.utils import timezone

from accounts.models import User
from devices.broker import accounts, verifier
from devices.models import Device, DeviceKey, Source

PREFIX = "dk_"
PREFIX_LENGTH = 11
ALPHABET = string.ascii_lowercase + string.digits
PATTERN = re.compile(r"dk_[a-z0-9]{8}_[A-Za-z0-9_-]{43}")
USE_NOTED_EVERY = timedelta(minutes=1)


def issue(
    device: Device, created_by: User | None = None, name: str = "", source: Source | None = None
) -> tuple[DeviceKey, str]:
    """A new key and its secret, which nobody can read again. The broker is told first. Raises BrokerAway."""
    prefix = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(8))
    secret = f"{prefix}_{secrets.token_urlsafe(32)}"
    key = DeviceKey(
        device=device,
        source=source,
        name=name,
        prefix=prefix,
        secret_hash=_hash(secret),
        broker_verifier=verifier(secret),
        created_by=created_by,
    )
    accounts().allow(key.username, secret, role=key.username if source else None)
    key.save()
    return key, secret


def find(secret: str) -> DeviceKey | None:
    """The key that this secret is, while it is usable."""
    if not PATTERN.fullmatch(secret):
        return None
    key = DeviceKey.objects.usable().select_related("device", "source").filter(prefix=secret[:PREFIX_LENGTH]).first()
    if key is None or not secrets.compare_digest(_hash(secret), key.secret_hash):
        return None
    return key


def find_password(username: str, secret: str) -> DeviceKey | None:
    """The key if it is this account's password at the broker: the newest one of its device or source."""
    key = find(secret)
    if key is None or key.username != username:
        return None
    newer = DeviceKey.objects.filter(device=key.device_id, source=key.source_id, pk__gt=key.pk)
    return None if newer.exists() else key


def note_use(key: DeviceKey) -> None:
    """Remember that it was used; at most once a minute, so that a busy device costs no write a request."""
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at >= USE_NOTED_EVERY:
        DeviceKey.objects.filter(pk=key.pk).update(last_used_at=now)


def revoke(key: DeviceKey) -> None:
    """From now on it opens nothing. It is stamped before the broker is told: a stolen key must stop working over HTTP
    even while the broker is away; the clock tells the broker later. Raises BrokerAway."""
    key.revoked_at = key.revoked_at or timezone.now()
    key.save(update_fields=["revoked_at"])
    newest = DeviceKey.objects.filter(device=key.device_id, source=key.source_id).order_by("-pk").first()
    if newest is not None and newest.pk == key.pk:  # an older one is no password at the broker any more
        accounts().forbid(key.username)


def revoke_all(device: Device) -> int:
    """Revoke every key of a device and of the sources it takes; how many worked until now. Raises BrokerAway."""
    for key in DeviceKey.objects.filter(pk__in=_newest(), device=device).select_related("device", "source"):
        accounts().forbid(key.username)
    return DeviceKey.objects.filter(device=device, revoked_at=None).update(revoked_at=timezone.now())


def broker_passwords() -> dict[str, str]:
    """The accounts that the broker should have: user name and what we keep of the password.

    Only the newest key of a device or source counts. When that one was revoked there is no account, even if an older
    key still works over HTTP.
    """
    usable = DeviceKey.objects.usable().filter(pk__in=_newest()).select_related("device", "source")
    return {key.username: key.broker_verifier for key in usable}


def _newest() -> QuerySet[DeviceKey, int]:
    """Ids of the key that each device and each source was given last."""
    newest = DeviceKey.objects.order_by().values("device", "source").annotate(newest=Max("pk"))
    return newest.values_list("newest", flat=True)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
