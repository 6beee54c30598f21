"""Proxies and certificates, as the environment names them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from lading.fetch.transport import CERTIFICATE_VARIABLES
from lading.inspect.doctor.host import Bundle, Network, Proxy
from lading.inspect.doctor.machine import Machine, is_file, is_folder

_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080, "socks4a": 1080}


def gather_network(machine: Machine) -> Network:
    proxies = list(_proxies(machine))
    reachable = {(one.host, one.port): "" for one in proxies if not one.fault}
    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = pool.map(lambda address: machine.connect(*address) or "", reachable)
        reachable = dict(zip(reachable, answers, strict=True))
    environment = machine.environment
    bypass = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    return Network(
        proxies=tuple(replace(one, refused=reachable.get((one.host, one.port), "")) for one in proxies),
        bypasses=tuple(word.strip() for word in bypass.split(",") if word.strip()),
        bundles=tuple(_bundles(machine)),
        has_socks=machine.has_module("socks"),
    )


def _proxies(machine: Machine) -> Iterator[Proxy]:
    for name in _PROXIES:
        if value := machine.environment.get(name, "").strip():
            yield read_proxy(name, value)


def read_proxy(variable: str, value: str) -> Proxy:
    """Pure. Without a scheme it is http, as requests and curl have it."""
    whole = value if "://" in value else f"http://{value}"
    shown = re.sub("//.*@", "//", whole)  # also where the password makes it no URL
    try:
        parts = urlsplit(whole)
        host, port, scheme = parts.hostname or "", parts.port, parts.scheme.lower()
    except ValueError as error:
        return Proxy(variable=variable, shown=shown, fault=str(error))
    if scheme not in _PORTS:
        return Proxy(variable=variable, shown=shown, fault=f"{scheme}:// is no kind of proxy")
    if not host:
        return Proxy(variable=variable, shown=shown, fault="it names no host")
    return Proxy(variable=variable, shown=shown, scheme=scheme, host=host, port=port or _PORTS[scheme])


def _bundles(machine: Machine) -> Iterator[Bundle]:
    for name in CERTIFICATE_VARIABLES:
        if value := machine.environment.get(name):
            path = Path(value)
            if is_folder(path):  # a folder of hashed certificates
                count = len(os.listdir(path)) if os.access(path, os.R_OK) else 0
            else:
                try:
                    count = path.read_bytes().count(b"-----BEGIN")
                except OSError:
                    count = 0
            yield Bundle(
                variable=name,
                path=value,
                there=is_file(path) or is_folder(path),
                readable=machine.access(path, os.R_OK),
                certificates=count,
            )
