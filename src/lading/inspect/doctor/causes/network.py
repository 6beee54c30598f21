"""Proxies, certificates and the clock. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.host import Host, Proxy
from lading.inspect.doctor.model import Severity, Sign
from lading.lock.cuda import cuda_facts

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "127.0.0.0/8", "*"})


@cause(
    "proxy-malformed", "A proxy variable holds no address", Area.NETWORK, Severity.ERROR,
    "curl(1), requests: proxies from the environment",
)  # fmt: skip
def proxy_malformed(host: Host) -> Iterator[Sign]:
    """The value is not `http://HOST:PORT`. A password with `@`, `:`, `/` or `#` in it must be percent-encoded
    (`%40`, `%3A`, `%2F`, `%23`).
    """
    for proxy in host.network.proxies:
        if proxy.fault:
            yield Sign(
                proof=(f"{proxy.variable}={proxy.shown}: {proxy.fault}",),
                remedy=f"export {proxy.variable}=http://proxy.example:3128",
            )


@cause(
    "proxy-socks", "A SOCKS proxy is named, and Python cannot talk to one", Area.NETWORK, Severity.ERROR,
    "requests: SOCKS needs PySocks",
)  # fmt: skip
def proxy_socks(host: Host) -> Iterator[Sign]:
    """lading, like pip, fetches through `requests`, which needs PySocks for `socks5://`. uv has its own."""
    if host.network.has_socks:
        return
    for proxy in host.network.proxies:
        if proxy.scheme.startswith("socks"):
            yield Sign(
                proof=(f"{proxy.variable}={proxy.shown}", "the Python of lading has no module socks"),
                remedy="pip install pysocks",
            )
            return


@cause(
    "proxy-unreachable", "The proxy does not answer", Area.NETWORK, Severity.ERROR,
    "a connection that was tried",
)  # fmt: skip
def proxy_unreachable(host: Host) -> Iterator[Sign]:
    """Nothing takes connections at the address that a proxy variable names. Mostly a value that was right in
    another network (a VPN, the office), or a `127.0.0.1` that was taken along into a container.
    """
    found: dict[tuple[str, int], Proxy] = {}
    for proxy in host.network.proxies:
        if proxy.refused:
            found.setdefault((proxy.host, proxy.port), proxy)
    for proxy in found.values():
        yield Sign(
            proof=(f"{proxy.variable}={proxy.shown}", f"{proxy.host}:{proxy.port}: {proxy.refused}"),
            remedy=f"unset {proxy.variable}",
        )


@cause(
    "proxy-for-loopback", "Requests to this very machine go to the proxy", Area.NETWORK, Severity.WARNING,
    "NO_PROXY, as curl and requests read it",
)  # fmt: skip
def proxy_for_loopback(host: Host) -> Iterator[Sign]:
    """A proxy is set, and NO_PROXY names neither `localhost` nor `127.0.0.1`. Programs then ask the proxy
    for a served model or a registry on this machine, and get its error page.
    """
    used = [proxy for proxy in host.network.proxies if not proxy.fault]
    if used and not _LOOPBACK & set(host.network.bypasses):
        yield Sign(
            proof=(
                f"{used[0].variable}={used[0].shown}",
                f"NO_PROXY={','.join(host.network.bypasses)}",
            ),
            remedy="export NO_PROXY=$NO_PROXY,localhost,127.0.0.1 no_proxy=$NO_PROXY,localhost,127.0.0.1",
        )


@cause(
    "proxy-two-values", "A proxy variable says two things in two spellings", Area.NETWORK, Severity.WARNING,
    "curl reads the lower-case name first, others the upper-case",
)  # fmt: skip
def proxy_two_values(host: Host) -> Iterator[Sign]:
    """`HTTPS_PROXY` and `https_proxy` differ, and programs do not agree on which one counts: uv and pip can
    go two ways in one build.
    """
    shown = {proxy.variable: proxy.shown for proxy in host.network.proxies}
    for upper in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        lower = upper.lower()
        if upper in shown and lower in shown and shown[upper] != shown[lower]:
            yield Sign(
                proof=(f"{upper}={shown[upper]}", f"{lower}={shown[lower]}"),
                remedy=f"export {lower}=${upper}",
            )


@cause(
    "proxy-http-only", "There is a proxy for http, and none for https", Area.NETWORK, Severity.WARNING,
    "package indexes and registries are https",
)  # fmt: skip
def proxy_http_only(host: Host) -> Iterator[Sign]:
    """The variable is named after the address that is asked for, not after the proxy: `HTTPS_PROXY=http://…`
    is right, and without it requests to indexes and registries go out directly.
    """
    names = {proxy.variable.upper() for proxy in host.network.proxies}
    if names == {"HTTP_PROXY"}:
        proxy = host.network.proxies[0]
        yield Sign(
            proof=(f"{proxy.variable}={proxy.shown}", "HTTPS_PROXY and ALL_PROXY are not set"),
            remedy=f"export HTTPS_PROXY=${proxy.variable} https_proxy=${proxy.variable}",
        )


@cause(
    "certificates-missing", "A variable names a bundle of certificates that is not there", Area.NETWORK,
    Severity.ERROR, "requests: an OSError before any connection",
)  # fmt: skip
def certificates_missing(host: Host) -> Iterator[Sign]:
    """Every https request of the programs that read this variable fails before it is sent. Debian and Ubuntu
    keep the bundle in `/etc/ssl/certs/ca-certificates.crt`, Fedora and RHEL in
    `/etc/pki/tls/certs/ca-bundle.crt`.
    """
    for bundle in host.network.bundles:
        if not bundle.there:
            yield Sign(
                proof=(f"{bundle.variable}={bundle.path}: no such file",), remedy=f"unset {bundle.variable}"
            )


@cause(
    "certificates-empty", "A bundle of certificates holds none", Area.NETWORK, Severity.ERROR,
    "PEM: -----BEGIN CERTIFICATE-----",
)  # fmt: skip
def certificates_empty(host: Host) -> Iterator[Sign]:
    """The file is there, and cannot be read or has no certificate in PEM form: an empty file, or one in DER
    form, which `openssl x509 -inform der -in FILE` turns into PEM.
    """
    for bundle in host.network.bundles:
        if bundle.there and not (bundle.readable and bundle.certificates):
            what = "holds no certificate in PEM form" if bundle.readable else "cannot be read by this user"
            yield Sign(proof=(f"{bundle.variable}={bundle.path}: {what}",), remedy=f"unset {bundle.variable}")


@cause(
    "certificates-not-for-uv", "uv does not see the bundle of certificates that pip has", Area.NETWORK,
    Severity.INFO, "uv: SSL_CERT_FILE, UV_NATIVE_TLS; requests: REQUESTS_CA_BUNDLE",
)  # fmt: skip
def certificates_not_for_uv(host: Host) -> Iterator[Sign]:
    """REQUESTS_CA_BUNDLE and its like are read by Python programs. uv, which resolves for lading, reads
    SSL_CERT_FILE; behind a proxy that opens TLS its requests fail as `invalid peer certificate:
    UnknownIssuer`.
    """
    named = [bundle for bundle in host.network.bundles if bundle.there]
    own = any(host.environment.get(name) for name in ("UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "SSL_CERT_DIR"))
    if named and not host.sources.uv_certificates and not own:
        yield Sign(
            proof=(f"{named[0].variable}={named[0].path}", "SSL_CERT_FILE and PIP_CERT are not set"),
            remedy=f"export SSL_CERT_FILE={named[0].path}",
        )


@cause(
    "clock-behind", "The clock is behind", Area.NETWORK, Severity.ERROR,
    "the newest day in lading's facts about CUDA, which was in the past when lading was made",
)  # fmt: skip
def clock_behind(host: Host) -> Iterator[Sign]:
    """The clock shows a day before this lading was made. Certificates are then not yet valid, signed package
    indexes lie in the future, and tokens are refused.
    """
    days = [row["read"] for rows in cuda_facts().rows.values() for row in rows if "read" in row]
    newest = max(days)
    if host.now.date() < newest:
        yield Sign(
            proof=(f"the clock says {host.now.date()}, and lading has facts of {newest}",),
            remedy="sudo timedatectl set-ntp true",
        )
