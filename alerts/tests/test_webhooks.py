from __future__ import annotations

import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from alerts import webhooks
from alerts.tests.conftest import Receiver, receiving

HEADERS = {"Idempotency-Key": "k", "Content-Type": "application/json"}

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"]
HIDDEN = [
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "168.63.129.16",
    "192.0.0.192",
    "192.88.99.1",
    "192.0.2.1",
    "198.18.0.1",
    "203.0.113.7",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "fc00::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_public_internet_may_be_called(address: str) -> None:
    assert webhooks.is_public(address)
    webhooks.check(f"https://[{address}]:8443/hook?a=b" if ":" in address else f"https://{address}/hook")


@pytest.mark.parametrize("address", HIDDEN)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not webhooks.is_public(address)
    with pytest.raises(webhooks.Refused, match="WEBHOOK_ALLOWED"):
        webhooks.check(f"https://[{address}]/" if ":" in address else f"https://{address}/")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0x7f000001/",
        "https://017700000001/",
        "https://0177.0.0.1/",
        "https://0/",
        "https://localhost/",
        "https://LOCALHOST/",
        "https://[::ffff:7f00:1]/",
        "https://[0:0:0:0:0:0:0:1]/",
        "https://①②⑦.0.0.1/",
        "https://127。0。0。1/",
        "https://user@example.com/",
        "https://example.com@127.0.0.1/",
        "https://user:password@127.0.0.1/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/\\@127.0.0.1/",
        "https://127.0.0.1#@example.com/",
        "https://127.0.0.1?@example.com/",
        "https://[::1%25lo]/",
        "https://[fe80::1%eth0]/",
        "https://exa mple.com/",
        "https://example.com/a b",
        "https://example.com/\r\nX-Evil: 1",
        "https://example.com/\x00",
        "https://example.com:443:80/",
        "https://example.com:/",
        "https://example.com:99999999/",
        "https://example.com:22/",
        "https://example.com:0/",
        "http://example.com/",
        "http://example.com:443/",
        "//example.com/",
        "https:/example.com",
        "https:///etc/passwd",
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://127.0.0.1:6379/",
        "javascript:alert(1)",
        " https://example.com/",
        "https://example.com/\n",
        "",
    ],
)
def test_a_url_that_hides_where_it_leads_is_refused(url: str) -> None:
    with pytest.raises(webhooks.Refused):
        webhooks.check(url)


def test_the_installation_may_allow_a_private_host_at_one_port_by_name(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED = ["Automation.lan:8123", "[::1]:9000", "127.0.0.1:80"]
    for url in (
        "http://automation.LAN:8123/a",
        "https://automation.lan:8123/a",
        "http://[::1]:9000",
        "http://127.0.0.1",
    ):
        assert webhooks.parse(url).is_allowed
    for url in (
        "http://automation.lan/",
        "http://automation.lan:8124/",
        "http://127.0.0.1:8080/",
        "https://127.0.0.1/",
    ):
        with pytest.raises(webhooks.Refused, match="WEBHOOK_ALLOWED"):
            webhooks.check(url)


def test_a_host_that_nobody_knows_may_be_saved_but_not_called() -> None:
    webhooks.check("https://nowhere.invalid/")
    with pytest.raises(webhooks.UnknownHost, match=r"nowhere\.invalid"):
        webhooks.post("https://nowhere.invalid/", b"{}", HEADERS)
    with pytest.raises(webhooks.UnknownHost):
        webhooks.post("https://a..b/", b"{}", HEADERS)


class FickleNames:
    """A name server that says something else each time."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in self.answers.pop(0)
        ]


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", FickleNames(["93.184.216.34", "10.0.0.1"]))
    with pytest.raises(webhooks.Refused):
        webhooks.check("https://example.com/")


def test_a_name_that_turns_private_after_it_was_saved_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    names = FickleNames(["93.184.216.34"], ["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", names)
    webhooks.check("https://example.com/")
    with pytest.raises(webhooks.Refused):
        webhooks.post("https://example.com/", b"{}", HEADERS)


def test_the_connection_goes_to_the_address_that_was_checked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    port = receiver.server_address[1]
    settings.WEBHOOK_ALLOWED = [f"hooks.example.org:{port}"]
    real, names = socket.getaddrinfo, FickleNames(["127.0.0.1"])

    def lookup(host: str, *arguments: Any, **options: Any) -> Any:
        """Addresses in figures stay what they are; the name is known once."""
        return names(host, port) if host == "hooks.example.org" else real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)

    assert webhooks.post(f"http://hooks.example.org:{port}/a?b=c", b'{"a": 1}', HEADERS) == 204
    assert names.asked == ["hooks.example.org"]
    [request] = receiver.requests
    assert request.headers["Host"] == f"hooks.example.org:{port}"
    assert (request.path, request.body, request.headers["Idempotency-Key"]) == ("/a?b=c", {"a": 1}, "k")


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_an_answer_that_is_no_success_is_a_failure_with_its_status(receiver: Receiver, status: int) -> None:
    receiver.answer = lambda handler: handler.say(status)
    with pytest.raises(webhooks.Failed, match=f"answered {status}") as failure:
        webhooks.post(receiver.url, b"{}", HEADERS)
    assert failure.value.status == status


def test_a_redirect_leads_nowhere(receiver: Receiver) -> None:
    with receiving() as inner:
        receiver.answer = lambda handler: handler.say(302, Location=inner.url)
        with pytest.raises(webhooks.Failed, match="redirects are not followed"):
            webhooks.post(receiver.url, b"{}", HEADERS)
        assert inner.requests == []


def test_a_target_that_hangs_is_left_at_the_deadline(receiver: Receiver, impatient: float) -> None:
    receiver.answer = lambda handler: handler.hang()
    started = time.monotonic()
    with pytest.raises(webhooks.Failed, match="No answer within"):
        webhooks.post(receiver.url, b"{}", HEADERS)
    assert impatient <= time.monotonic() - started < impatient + 2


def test_a_target_that_drips_its_answer_is_left_at_the_same_deadline(receiver: Receiver, impatient: float) -> None:
    def drip(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not handler.server.leave.wait(0.1):
            handler.wfile.write(b"a")
            handler.wfile.flush()

    receiver.answer = drip
    started = time.monotonic()
    with pytest.raises(webhooks.Failed, match="No answer within"):
        webhooks.post(receiver.url, b"{}", HEADERS)
    assert time.monotonic() - started < impatient + 2


def test_the_body_of_an_endless_answer_is_not_waited_for(receiver: Receiver, impatient: float) -> None:
    def pour(handler: Any) -> None:
        handler.say(200, **{"Content-Length": str(10**12)})
        while not handler.server.leave.is_set():
            handler.wfile.write(b"a" * 65_536)

    receiver.answer = pour
    started = time.monotonic()
    assert webhooks.post(receiver.url, b"{}", HEADERS) == 200
    assert time.monotonic() - started < impatient


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH_9.2p1 secret\r\n", b"", b"HTTP/1.1 abc\r\n\r\n", b"\x00" * 70_000]
)
def test_what_is_no_http_answer_is_a_failure_that_tells_nothing_of_it(receiver: Receiver, answer: bytes) -> None:
    receiver.answer = lambda handler: (handler.wfile.write(answer), setattr(handler, "close_connection", True))
    with pytest.raises(webhooks.Failed) as failure:
        webhooks.post(receiver.url, b"{}", HEADERS)
    assert "secret" not in str(failure.value)


def test_a_port_where_nobody_listens_is_a_failure(settings: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        entry = f"127.0.0.1:{closed.getsockname()[1]}"
    settings.WEBHOOK_ALLOWED = [entry]
    with pytest.raises(webhooks.Failed, match="refused"):
        webhooks.post(f"http://{entry}/", b"{}", HEADERS)


def test_the_second_address_is_tried_when_the_first_does_not_answer(receiver: Receiver) -> None:
    target = webhooks.parse(receiver.url)
    with webhooks.connected(target, ["127.9.9.9", "127.0.0.1"], time.monotonic() + 2) as connection:
        assert connection.sock.getpeername()[0] == "127.0.0.1"


def certificate_for(name: str, folder: Path) -> Path:
    """A certificate that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}.pem"
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(receiver: Receiver, tmp_path: Path, settings: Any) -> tuple[Receiver, Path, list[str]]:
    """The receiver behind TLS as `localhost`, its certificate, and the names that clients asked for."""
    path = certificate_for("localhost", tmp_path)
    asked: list[str] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    context.sni_callback = lambda _, name, __: asked.append(name)
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True, do_handshake_on_connect=False)
    settings.WEBHOOK_ALLOWED = [f"localhost:{receiver.server_address[1]}", receiver.entry]
    return receiver, path, asked


def test_over_https_the_name_is_asked_for_and_the_certificate_must_be_its_own(
    secure: tuple[Receiver, Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, certificate, asked = secure
    url = f"https://localhost:{receiver.server_address[1]}/hook"
    with pytest.raises(webhooks.Failed, match="CERTIFICATE_VERIFY_FAILED"):
        webhooks.post(url, b"{}", HEADERS)

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # where OpenSSL looks for whom to trust
    assert webhooks.post(url, b"{}", HEADERS) == 204
    assert receiver.requests[0].headers["Host"] == f"localhost:{receiver.server_address[1]}"
    assert set(asked) == {"localhost"}
    with pytest.raises(webhooks.Failed, match="CERTIFICATE_VERIFY_FAILED"):
        webhooks.post(f"https://{receiver.entry}/hook", b"{}", HEADERS)
    assert len(receiver.requests) == 1


def test_a_handshake_that_hangs_is_left_at_the_deadline(settings: Any, impatient: float) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        entry = f"127.0.0.1:{silent.getsockname()[1]}"
        settings.WEBHOOK_ALLOWED = [entry]
        started = time.monotonic()
        with pytest.raises(webhooks.Failed, match="No answer within"):
            webhooks.post(f"https://{entry}/", b"{}", HEADERS)
        assert time.monotonic() - started < impatient + 2
