"""Everything in one process: broker, worker with the Listener, clock and server, on SQLite and in-memory queues."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import structlog
from celery.beat import EmbeddedService
from celery.worker import WorkController
from daphne.server import Server
from django.conf import settings

from devices.simulation import Fleet, SimulatedDevice
from iot_platform.celery import app
from iot_platform.embedded_broker import LISTENER, EmbeddedBroker

log = structlog.get_logger(__name__)

PORTS_TO_TRY = 50
SOCKET_MESSAGE_BYTES = 64 * 1024


def free_port(host: str, wanted: int) -> int:
    """This port, or the next one above it that nobody listens on. Raises OSError when there is none."""
    for port in range(wanted, wanted + PORTS_TO_TRY):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port from {wanted} to {wanted + PORTS_TO_TRY - 1}")


class Platform:
    """Starts the parts in the order in which they need each other, and stops them the other way round."""

    def __init__(self, host: str, port: int, mqtt_port: int, devices: list[SimulatedDevice]) -> None:
        self.host, self.port = host, port
        self.broker = EmbeddedBroker(host, mqtt_port)
        self.fleet = Fleet(devices, "127.0.0.1", mqtt_port)

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until Ctrl-C or SIGTERM; calls `ready` once the page can be opened."""
        self.broker.start()
        settings.MQTT_URL = f"mqtt://{LISTENER}:{self.broker.listener_secret}@127.0.0.1:{self.broker.port}"
        worker = WorkController(
            app=app,
            pool="threads",
            concurrency=2,
            mqtt=True,
            without_gossip=True,
            without_mingle=True,
            loglevel="WARNING",
        )
        working = threading.Thread(target=worker.start, name="worker", daemon=True)
        working.start()
        # as a process of its own it would reach nobody: queues are in memory
        clock = EmbeddedService(app, thread=True, scheduler_cls=settings.CELERY_BEAT_SCHEDULER)
        clock.daemon = True
        clock.start()
        self.fleet.start()
        try:
            self._serve(ready)
        finally:
            self.fleet.stop()
            clock.stop()
            worker.stop()
            working.join(5)
            self.broker.stop()

    def _serve(self, ready: Callable[[], None]) -> None:
        from iot_platform.asgi import application  # loads every route, so only now that the apps are there

        Server(
            application,
            endpoints=[f"tcp:port={self.port}:interface={self.host}"],
            ready_callable=ready,
            server_name="iot-platform",
            websocket_max_message_size=SOCKET_MESSAGE_BYTES,
            websocket_max_frame_size=SOCKET_MESSAGE_BYTES,
            websocket_timeout=-1,
            verbosity=0,
        ).run()
