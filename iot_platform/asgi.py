"""Every socket route of the platform, beside the HTTP application."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iot_platform.settings")

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # loads the apps, so it comes before what needs them

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import OriginValidator
from django.conf import settings
from django.urls import path

from alerts.live import AlertsConsumer
from devices.live import DeviceStatusConsumer
from readings.live import EverythingConsumer, LiveDataConsumer

websocket_urlpatterns = [
    path("ws", EverythingConsumer.as_asgi()),
    path("ws/live-data", LiveDataConsumer.as_asgi()),
    path("ws/device-status", DeviceStatusConsumer.as_asgi()),
    path("ws/alerts", AlertsConsumer.as_asgi()),
]

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": OriginValidator(
            AuthMiddlewareStack(URLRouter(websocket_urlpatterns)), [*settings.ALLOWED_HOSTS, *settings.ALLOWED_ORIGINS]
        ),
    }
)
