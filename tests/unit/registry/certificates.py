"""Certificates for loopback, good and bad, and servers that show them."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path


def make_certificates(folder: Path) -> Path:
    """`good`, `expired` and `other` (for another host): certificates that sign themselves."""
    for name, host in (("good", "IP:127.0.0.1"), ("other", "DNS:elsewhere.example")):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-nodes", "-days", "2", "-subj", "/CN=registry", "-addext", f"subjectAltName={host}"]
        files = ["-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem"]
        subprocess.run([*command, *files], check=True, capture_output=True)
    (folder / "host").write_text("subjectAltName=IP:127.0.0.1\n")
    key = ("-key", "good.key")
    for line in (
        ("req", "-new", *key, "-subj", "/CN=registry", "-out", "request"),
        (
            *("x509", "-req", "-in", "request", "-signkey", "good.key", "-days", "-1"),
            *("-extfile", "host", "-out", "expired.pem"),
        ),
    ):
        subprocess.run(["openssl", *line], check=True, capture_output=True, cwd=folder)
    shutil.copy(folder / "good.key", folder / "expired.key")
    return folder


def speaking(folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context
