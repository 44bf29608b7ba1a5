"""Call a webhook, and only where one may be: public addresses over https, or what the installation allows by name.

The host is looked up once, each of its addresses is checked, and the connection goes to a checked address: a name
that points elsewhere a moment later leads nobody into the private network.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings

TIMEOUT_SECONDS = 5.0  # for all of it: lookup, connection, request and answer
PORTS = {443, 8443}

# The only place that takes a URL apart: two readers of one URL may see two hosts in it.
URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]{1,253})(:(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[\x21-\x5b\x5d-\x7e]*)?",
    re.IGNORECASE,
)
GLOBAL_UNICAST = ip_network("2000::/3")
NEVER = tuple(  # what `is_global` calls global in some version of Python, or what leads on to another address
    ip_network(text)
    for text in (
        "100.64.0.0/10",  # a carrier's own network
        "168.63.129.16/32",  # a cloud's host agent
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # Teredo and other tunnels
        "2002::/16",  # 6to4
    )
)


class Failed(Exception):
    """The message did not arrive. The text is for people; `status` is what the receiver answered, if it did."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class Refused(Failed):
    """This address must not be called."""


class UnknownHost(Failed):
    """Nobody knows the host's address, for now."""


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook's URL, taken apart."""

    is_https: bool
    host: str  # without the brackets of an IPv6 address
    port: int
    path: str
    is_allowed: bool  # named in WEBHOOK_ALLOWED


def check(url: str) -> None:
    """Raise Refused when this URL may not be called. An unknown host passes: each message looks again."""
    with suppress(UnknownHost):
        addresses(parse(url))


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Send one message and answer the receiver's status, which is 2xx. Raises Failed with the reason otherwise.

    The status says all that we need: the body of the answer is not read, and never shown to anyone.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    target = parse(url)
    try:
        with connected(target, addresses(target), deadline) as connection:
            connection.request("POST", target.path, body, dict(headers))
            status = connection.getresponse().status
        if time.monotonic() >= deadline:
            raise TimeoutError  # cut in the middle of its headers, which reads like their end
    except (OSError, HTTPException) as error:
        raise Failed(_reason(error, deadline)) from error
    if 300 <= status < 400:
        raise Failed(f"The receiver answered {status}; redirects are not followed.", status)
    if not 200 <= status < 300:
        raise Failed(f"The receiver answered {status}.", status)
    return status


def parse(url: str) -> Target:
    """Take a URL apart. Raises Refused when it is none that we could ever call."""
    match = URL.fullmatch(url)
    if match is None:
        raise Refused("Write a plain address: https://host/path, without user name, blanks, backslash or accents.")
    is_https = match["scheme"].lower() == "https"
    host = match["host"].lower()
    port = int(match["port"] or (443 if is_https else 80))
    is_allowed = f"{host}:{port}" in {entry.strip().lower() for entry in settings.WEBHOOK_ALLOWED}
    if not is_allowed and not (is_https and port in PORTS):
        raise Refused(_only("over https to port 443 or 8443"))
    return Target(
        is_https=is_https,
        host=host.strip("[]"),
        port=port,
        path=(match["path"] or "/").partition("#")[0],
        is_allowed=is_allowed,
    )


def addresses(target: Target) -> list[str]:
    """Look the host up, once. Raises UnknownHost, or Refused if a single one of its addresses is not public."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnknownHost(f"The host {target.host} is not known.") from error
    unique = list(dict.fromkeys(str(address[0]) for *_, address in found))
    if not target.is_allowed and not all(is_public(address) for address in unique):
        raise Refused(_only("to public addresses"))
    return unique


def is_public(address: str) -> bool:
    """Is this the address of one machine on the public internet, and of nothing that hides behind it?"""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if isinstance(ip, IPv6Address) and ip not in GLOBAL_UNICAST:
        return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in NEVER)


@contextmanager
def connected(target: Target, checked: Sequence[str], deadline: float) -> Iterator[HTTPConnection]:
    """A connection to a checked address that still asks for the host by its name, cut at the deadline."""
    sock = _connect(checked, target.port, deadline)
    try:
        connection = HTTPConnection(target.host, target.port)
        if target.is_https:
            context = ssl.create_default_context()
            connection = HTTPSConnection(target.host, target.port, context=context)
            sock = context.wrap_socket(sock, server_hostname=target.host, do_handshake_on_connect=False)
        connection.sock = sock  # it would look the host up again
        with _cut_at(deadline, sock):
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            yield connection
    finally:
        sock.close()


def _connect(checked: Sequence[str], port: int, deadline: float) -> socket.socket:
    """The first address that takes the connection; each one gets its share of the time that is left."""
    for left in range(len(checked), 0, -1):
        seconds = (deadline - time.monotonic()) / left
        if seconds <= 0:
            raise TimeoutError
        try:
            return socket.create_connection((checked[-left], port), timeout=seconds)
        except OSError:
            if left == 1:
                raise
    raise UnknownHost("The host has no address.")


@contextmanager
def _cut_at(deadline: float, sock: socket.socket) -> Iterator[None]:
    """Cut the line at the deadline: a timeout of the socket alone would start anew with every byte that drips in."""
    left = max(deadline - time.monotonic(), 0.001)
    sock.settimeout(left)
    timer = threading.Timer(left, _cut, [sock])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # below TLS, which may be in use by the sending thread


def _reason(error: Exception, deadline: float) -> str:
    if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
        return f"No answer within {TIMEOUT_SECONDS:g} s."
    if isinstance(error, OSError):
        return f"No answer: {error}"
    return "The answer was no HTTP."


def _only(what: str) -> str:
    return f"Webhooks go only {what}. The setting WEBHOOK_ALLOWED (host:port, ...) permits others."
