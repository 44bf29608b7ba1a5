"""Devices at the HTTP door: `Authorization: Bearer dk_…`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from accounts.permissions import Actor
from devices import keys
from devices.models import DeviceKey

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema
    from rest_framework.request import Request


class DeviceKeyAuthentication(BaseAuthentication):
    """A key in the header, and nowhere else: addresses end up in logs. `request.auth` is the key.

    Other credentials share the header; what does not look like a key is left to them.
    """

    def authenticate(self, request: Request) -> tuple[Actor, DeviceKey] | None:
        scheme, _, secret = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not secret.lstrip().startswith(keys.PREFIX):
            return None
        key = keys.find(secret.strip())
        if key is None:
            raise AuthenticationFailed("This device key is unknown or was revoked.")
        keys.note_use(key)
        return Actor(organization_id=key.device.organization_id, device_id=key.device_id), key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class DeviceKeyScheme(OpenApiAuthenticationExtension):
    """How the API description shows it."""

    target_class = DeviceKeyAuthentication
    name = "deviceKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "dk_…", "description": "A device's own key."}
