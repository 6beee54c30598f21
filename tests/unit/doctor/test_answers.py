"""With --online: what is wrong with a server that is asked. Real servers on loopback, real TLS."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from registry.certificates import make_certificates, speaking
from registry.fault_registry import PASSWORD, USER, FaultRegistry, status

from doctor.host_cases import encoded
from doctor.hosts import FakeHost, plain_host
from lading.errors import FetchFailed
from lading.fetch.transport import HttpStatus
from lading.inspect.doctor.cause import HOST_AREAS, diagnose
from lading.inspect.doctor.gather.answers import fault_of
from lading.inspect.doctor.gather.whole import gather_host

CAUSES = {
    *("name-unknown", "no-answer", "certificate-untrusted", "certificate-expired", "certificate-of-another"),
    *("no-tls", "proxy-log-in", "log-in-refused", "server-fails"),
}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """Its Debian mirror is a folder, which nobody asks."""
    host = plain_host(tmp_path)
    host.environment["LADING_DEBIAN_MIRROR"] = str(tmp_path)
    return host


@pytest.fixture
def server() -> Iterator[FaultRegistry]:
    with FaultRegistry() as server:
        yield server


def found(host: FakeHost) -> set[str]:
    findings = diagnose(HOST_AREAS, gather_host(host.machine(), online=True))
    said = str([finding.as_json() for finding in findings])
    assert PASSWORD not in said
    assert encoded(f"{USER}:{PASSWORD}") not in said
    return {finding.cause for finding in findings}


def logged_in(host: FakeHost, server: FaultRegistry, password: str = PASSWORD) -> FakeHost:
    host.auths({"auths": {server.name: {"auth": encoded(f"{USER}:{password}")}}})
    return host


def test_nobody_is_asked_unless_it_is_wanted(host: FakeHost, server: FaultRegistry) -> None:
    logged_in(host, server).environment["UV_DEFAULT_INDEX"] = f"{server.base}/simple"
    assert host.causes() == []
    assert server.log == []


@pytest.mark.parametrize("auth", ["", "basic", "bearer"])
def test_a_registry_that_knows_us_is_no_finding(host: FakeHost, auth: str) -> None:
    with FaultRegistry(auth=auth) as server:
        assert found(logged_in(host, server)) == set()
        assert server.log


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_a_log_in_that_a_registry_refuses(host: FakeHost, auth: str) -> None:
    with FaultRegistry(auth=auth) as server:
        assert found(logged_in(host, server, "another")) == {"log-in-refused"}


@pytest.mark.parametrize(
    ("code", "cause"),
    [(401, "log-in-refused"), (403, "log-in-refused"), (404, ""), (503, "server-fails")],
)
def test_what_an_index_answers(host: FakeHost, server: FaultRegistry, code: int, cause: str) -> None:
    server.fault("GET", "/simple", status(code))
    host.environment["PIP_INDEX_URL"] = f"http://{USER}:{PASSWORD}@{server.name}/simple"
    assert found(host) == ({cause} if cause else set())
    assert len(server.log) == 1


def test_a_mirror_that_is_gone_and_an_index_without_a_name(host: FakeHost) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    host.environment["LADING_DEBIAN_MIRROR"] = f"http://127.0.0.1:{port}/debian"
    assert found(host) == {"no-answer"}
    host.environment["UV_INDEX"] = "private=http://index.invalid/simple"
    assert found(host) == {"no-answer", "name-unknown"}


@pytest.mark.parametrize(
    ("name", "trusted", "cause"),
    [
        ("good", "good", ""),
        ("good", "other", "certificate-untrusted"),
        ("expired", "expired", "certificate-expired"),
        ("other", "other", "certificate-of-another"),
    ],
)
def test_certificates(certificates: Path, host: FakeHost, name: str, trusted: str, cause: str) -> None:
    with FaultRegistry(context=speaking(certificates, name)) as server:
        host.environment["UV_DEFAULT_INDEX"] = f"{server.base}/simple"
        host.environment["SSL_CERT_FILE"] = str(certificates / f"{trusted}.pem")
        assert found(host) == ({cause} if cause else set())


def test_a_server_that_speaks_in_the_clear_where_tls_is_wanted(host: FakeHost, server: FaultRegistry) -> None:
    host.environment["UV_DEFAULT_INDEX"] = f"https://{server.name}/simple"
    assert found(host) == {"no-tls"}


def test_a_proxy_that_wants_a_log_in(
    host: FakeHost, server: FaultRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fault("GET", "index.example", status(407))
    variables = {"HTTP_PROXY": server.base, "HTTPS_PROXY": server.base, "NO_PROXY": "localhost"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    host.environment |= {**variables, "UV_DEFAULT_INDEX": "http://index.example/simple"}
    assert found(host) == {"proxy-log-in"}


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("Tunnel connection failed: 407 Proxy Authentication Required", "proxy-log-in"),
        (
            "Failed to resolve 'index.example' ([Errno -3] Temporary failure in name resolution)",
            "name-unknown",
        ),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid",
            "certificate-expired",
        ),
        (
            "certificate verify failed: IP address mismatch, certificate is not valid for",
            "certificate-of-another",
        ),
        ("Could not find a suitable TLS CA certificate bundle, invalid path: /etc/none.pem", ""),
        ("Connection timed out", "no-answer"),
    ],
)
def test_words_of_a_failure_are_told_apart(words: str, cause: str) -> None:
    assert fault_of(FetchFailed(f"fetching https://index.example/ failed: {words}")) == cause
    assert fault_of(HttpStatus("answered 404", status=404, place="x")) == ""


def test_an_answer_without_fault_is_no_finding(host: FakeHost) -> None:
    whole = gather_host(host.machine())
    assert diagnose(HOST_AREAS, replace(whole, answers=())) == ()
