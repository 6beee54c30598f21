"""What came of asking indexes, mirrors and registries: only with --online. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.host import Answer, Host
from lading.inspect.doctor.model import Severity, Sign


def _found(host: Host, name: str, remedy: Callable[[Answer], str]) -> Iterator[Sign]:
    """One finding, about all that answered so."""
    found = [answer for answer in host.answers if answer.fault == name]
    if found:
        proxies = [f"{proxy.variable}={proxy.shown}" for proxy in host.network.proxies[:1]]
        proof = tuple(f"{answer.what} {answer.address}: {answer.words}" for answer in found)
        yield Sign(proof=(*proof, *proxies), remedy=remedy(found[0]))


def _curl(answer: Answer) -> str:
    address = answer.address if "://" in answer.address else f"https://{answer.address}/v2/"
    return f"curl --verbose --head {address}"


@cause(
    "name-unknown", "A configured server has no address", Area.ANSWERS, Severity.ERROR, "getaddrinfo(3)",
)  # fmt: skip
def name_unknown(host: Host) -> Iterator[Sign]:
    """Its name is not known to the name servers of this host: a spelling, a name of a network that this host
    is not in, or no name server at all (`/etc/resolv.conf`). Behind a proxy the proxy looks names up, not
    this host.
    """
    yield from _found(host, "name-unknown", lambda answer: "cat /etc/resolv.conf")


@cause(
    "no-answer", "A configured server does not answer", Area.ANSWERS, Severity.ERROR,
    "a request that was sent",
)  # fmt: skip
def no_answer(host: Host) -> Iterator[Sign]:
    """The connection is refused, or nothing comes: the server is down, a firewall drops it, or everything
    has to go through a proxy and none is named.
    """
    yield from _found(host, "no-answer", _curl)


@cause(
    "certificate-untrusted", "A server's certificate is signed by nobody this host trusts", Area.ANSWERS,
    Severity.ERROR, "TLS: unable to get local issuer certificate; self-signed certificate",
)  # fmt: skip
def certificate_untrusted(host: Host) -> Iterator[Sign]:
    """A company's own authority, or a proxy that opens TLS and signs anew. Ask for its certificate, and add
    it to a bundle that also holds the usual ones; uv, pip and lading read SSL_CERT_FILE. `openssl
    s_client -connect HOST:443` shows who signed.
    """
    yield from _found(
        host, "certificate-untrusted", lambda answer: "export SSL_CERT_FILE=/path/to/your/ca-bundle.crt"
    )


@cause(
    "certificate-expired", "A server's certificate is not valid today", Area.ANSWERS, Severity.ERROR,
    "TLS: certificate has expired; not yet valid",
)  # fmt: skip
def certificate_expired(host: Host) -> Iterator[Sign]:
    """Expired, or not yet valid. Where that is said of every server, it is the clock of this host."""
    yield from _found(host, "certificate-expired", lambda answer: "date")


@cause(
    "certificate-of-another", "A server shows the certificate of another", Area.ANSWERS, Severity.ERROR,
    "TLS: hostname mismatch",
)  # fmt: skip
def certificate_of_another(host: Host) -> Iterator[Sign]:
    """The certificate is good, for another name: an address instead of a name in the settings, a page of a
    hotel or a firewall in between, or a server behind the wrong name.
    """
    yield from _found(host, "certificate-of-another", _curl)


@cause(
    "no-tls", "A server speaks no TLS where it should", Area.ANSWERS, Severity.ERROR,
    "TLS: wrong version number, no protocols available",
)  # fmt: skip
def no_tls(host: Host) -> Iterator[Sign]:
    """Plain HTTP on the port of https, or TLS so old that it is refused. A registry without TLS, in a
    network that is trusted, is named in LADING_INSECURE_REGISTRIES.
    """
    yield from _found(
        host,
        "no-tls",
        lambda answer: (
            f"export LADING_INSECURE_REGISTRIES={answer.address}"
            if answer.what == "registry"
            else _curl(answer)
        ),
    )


@cause(
    "proxy-log-in", "The proxy wants to know who asks", Area.ANSWERS, Severity.ERROR,
    "HTTP 407 Proxy Authentication Required",
)  # fmt: skip
def proxy_log_in(host: Host) -> Iterator[Sign]:
    """User name and password go into the variable, percent-encoded. A proxy that wants Kerberos or NTLM
    needs a helper on this host (`px`, `cntlm`) that the variable then names.
    """
    yield from _found(
        host, "proxy-log-in", lambda answer: "export HTTPS_PROXY=http://USER:PASSWORD@proxy.example:3128"
    )


@cause(
    "log-in-refused", "A server does not accept who we are", Area.ANSWERS, Severity.ERROR,
    "HTTP 401 Unauthorized, 403 Forbidden",
)  # fmt: skip
def log_in_refused(host: Host) -> Iterator[Sign]:
    """User name, password or token are wrong, or have ended; or none is known for this server. For an index
    they stand in its URL, in `~/.netrc`, or in UV_INDEX_NAME_USERNAME and _PASSWORD.
    """
    yield from _found(
        host,
        "log-in-refused",
        lambda answer: f"docker login {answer.address}" if answer.what == "registry" else _curl(answer),
    )


@cause(
    "server-fails", "A server fails on its own side", Area.ANSWERS, Severity.WARNING, "HTTP 500 and above",
)  # fmt: skip
def server_fails(host: Host) -> Iterator[Sign]:
    """It answers with an error of its own. lading tries again for a while before it gives up."""
    yield from _found(host, "server-fails", _curl)
