"""The clock and the host: beat fires the tasks, a worker started with `--mqtt` holds the Listener."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, bootsteps
from celery.signals import setup_logging
from click import Option

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iot_platform.settings")

app = Celery("iot_platform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.user_options["worker"].add(Option(("--mqtt",), is_flag=True, help="Hold the Listener: take readings from MQTT."))


@setup_logging.connect
def keep_logging(**_: Any) -> None:
    """Django has set up the logs; Celery must not set them up again."""


class ListenerStep(bootsteps.StartStopStep):
    """The Listener lives as long as the worker: once, in the parent process, whatever pool the tasks use."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, parent: Any, mqtt: bool = False, **options: Any) -> None:
        super().__init__(parent, mqtt=mqtt, **options)
        self.enabled = mqtt

    def start(self, parent: Any) -> None:
        from iot_platform.mqtt import Listener  # needs Django's apps, which Celery loads before this step starts

        self.listener = Listener()
        self.listener.start()

    def stop(self, parent: Any) -> None:
        self.listener.stop()


app.steps["worker"].add(ListenerStep)
