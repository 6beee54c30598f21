"""Runs that wanted something from elsewhere: network off, not found, refused, gated, port taken. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.errors import OutsideError
from lading.inspect.doctor.model import Sign
from lading.inspect.doctor.runs.evidence import RunEvidence
from lading.inspect.doctor.runs.register import death, said, told

_NO_NAME = re.compile(
    r"Temporary failure in name resolution|Name or service not known|\bgaierror\b|Could not resolve host"
    r"|NameResolutionError|nodename nor servname|getaddrinfo failed"
)
_NO_WAY = re.compile(
    r"Network is unreachable|No route to host|Connection timed out|ConnectTimeout|\[Errno (?:101|110|113)\]"
    r"|Connection refused|\[Errno 111\]|Max retries exceeded|Connection reset by peer"
    r"|Remote end closed connection"
)
_HUB_OFFLINE = re.compile(
    r"LocalEntryNotFoundError|We couldn't connect to 'https://huggingface\.co'|OfflineModeIsEnabled"
    r"|outgoing traffic has been disabled|HF_HUB_OFFLINE"
)
_GATED = re.compile(
    r"GatedRepoError|Cannot access gated repo|Access to model (\S+) is restricted"
    r"|You are trying to access a gated repo|RepositoryNotFoundError|401 Client Error|403 Client Error"
    r"|Invalid username or password|Invalid credentials in Auth"
)
_CERTIFICATE = re.compile(
    r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|SSLCertVerificationError"
    r"|unable to get local issuer certificate"
)
_PORT = re.compile(
    r"Address already in use|\[Errno 98\]|EADDRINUSE|port (\d+) is (?:already )?in use"
    r"|The server socket has failed to (?:listen|bind)"
)
_PORT_NUMBER = re.compile(r"port[:= ]+(\d{2,5})|\('[^']*', (\d{2,5})\)|:(\d{2,5})\b")


@death("run-network-off", "The run has no network, and wanted it", "docs/guides/tasks.md: network")
def network_off(run: RunEvidence) -> Iterator[Sign]:
    """A task runs without network unless it asks: what it would fetch is in no seal, so the run could not be
    repeated.

    Mend: better a `[data]` input with a `sha256`, fetched once and mounted; else `network = true` under the
    task.
    """
    if run.network:
        return
    match = said(run, _NO_NAME, re.compile(r"Network is unreachable|\[Errno 101\]"))
    if match is None:
        match = said(run, _HUB_OFFLINE)
    yield from told(run, match, run.again("--network"), "the task has no network")


@death(
    "run-network-failed",
    "A server could not be reached",
    "connect(2), getaddrinfo(3)",
    exit_status=OutsideError.exit_status,
)
def network_failed(run: RunEvidence) -> Iterator[Sign]:
    """The task has the network, and a name was not found or nothing answered: a proxy that the container does
    not know (`HTTPS_PROXY` is not inherited), a firewall, a server that is down. Without network it is a
    server of the run's own, on its loopback, that did not answer.

    Mend: pass the proxy on: `env` under the task, or `--env`.
    """
    if run.network:
        match = said(run, _NO_NAME, _NO_WAY, _HUB_OFFLINE)
        yield from told(run, match, run.again("--env HTTPS_PROXY=$HTTPS_PROXY"), "the task has the network")
    elif not run.words.has(_NO_NAME) and not run.words.has(_HUB_OFFLINE):
        refused = said(run, re.compile(r"Connection refused|\[Errno 111\]"))
        yield from told(run, refused, "lading logs " + run.task, "no network: this is the run's own loopback")


@death("run-gated", "Access to a model or data set was refused", "huggingface_hub: errors")
def gated(run: RunEvidence) -> Iterator[Sign]:
    """The server answered, and said no: a gated model whose terms you have not accepted, a private
    repository, no token in the run, or a token without the right. A container inherits no token.

    Mend: accept the terms on the model's page, then pass the token on by name: `secrets = ["HF_TOKEN"]`.
    """
    yield from told(run, said(run, _GATED), run.again("--network --secret HF_TOKEN"), _token(run))


def _token(run: RunEvidence) -> str:
    return "" if "HF_TOKEN" in run.secrets else "the run had no HF_TOKEN"


@death("run-certificate", "A server's certificate was not trusted", "OpenSSL: verify(1)")
def certificate(run: RunEvidence) -> Iterator[Sign]:
    """The connection was made and its certificate is signed by nobody the image knows: a company's proxy that
    opens TLS, or an internal server.

    Mend: mount the company's bundle and name it (`SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE`), under `env`.
    """
    yield from told(run, said(run, _CERTIFICATE), run.again("--env SSL_CERT_FILE=/app/company-ca.pem"))


@death("run-port-taken", "A port was taken already", "bind(2): EADDRINUSE")
def port_taken(run: RunEvidence) -> Iterator[Sign]:
    """Two programs want one port. With `network = true` a run shares the host's ports; without, only its own
    programs can collide: two launchers with the same `MASTER_PORT`.

    Mend: another port (`MASTER_PORT`, `--port 0`), or end the program that has it.
    """
    match = said(run, _PORT)
    number = _PORT_NUMBER.search(match.line) if match is not None else None
    port = next((group for group in number.groups() if group), "") if number else ""
    remedy = f"ss -ltnp 'sport = :{port}'" if port else "ss -ltnp"
    yield from told(
        run, match, remedy, "" if run.network else "its network is its own: both programs are in the run"
    )
