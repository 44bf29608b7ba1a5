"""The doors of the platform."""

from iot_platform.celery import app as celery_app

__all__ = ["celery_app"]
