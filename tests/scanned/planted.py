"""Secrets of many kinds, made up at random, and where people leave them. Nothing here opens anything."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import marshal
import random
import sqlite3
import string
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

RANDOM = random.Random(23)
LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits
AWS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def some(count: int, alphabet: str = LETTERS) -> str:
    return "".join(RANDOM.choices(alphabet, k=count))


def pem(kind: str) -> str:
    body = "\n".join(some(64, LETTERS + "+/") for _ in range(6))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----\n"


HF, GITHUB = f"hf_{some(34)}", f"ghp_{some(36)}"
TOKENS = {
    "hugging-face": HF,
    "hugging-face-org": f"api_org_{some(34)}",
    "openai": f"sk-proj-{some(60)}",
    "anthropic": f"sk-ant-api03-{some(93)}",
    "replicate": f"r8_{some(37)}",
    "groq": f"gsk_{some(52)}",
    "perplexity": f"pplx-{some(48)}",
    "xai": f"xai-{some(80)}",
    "langsmith": f"lsv2_pt_{some(32, HEX)}_{some(10, HEX)}",
    "pinecone": f"pcsk_{some(6)}_{some(63)}",
    "databricks": f"dapi{some(32, HEX)}",
    "ngc": f"nvapi-{some(64)}",
    "github": GITHUB,
    "github-fine": f"github_pat_{some(22)}_{some(59)}",
    "gitlab": f"glpat-{some(20)}",
    "npm": f"npm_{some(36)}",
    "pypi": f"pypi-AgEIcHlwaS5vcmc{some(60)}",
    "rubygems": f"rubygems_{some(48, HEX)}",
    "docker-hub": f"dckr_pat_{some(27)}",
    "jfrog": f"AKCp{some(69)}",
    "aws-id": f"AKIA{some(16, AWS)}",
    "aws-secret": f"aws_secret_access_key = {some(40, LETTERS + '/+')}",
    "google": f"AIza{some(35)}",
    "google-oauth": f"GOCSPX-{some(28)}",
    "azure-storage": f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={some(86)}==;",
    "azure-client": f"{some(3)}8Q~{some(34)}",
    "digitalocean": f"dop_v1_{some(64, HEX)}",
    "heroku": f"HRKU-AA{some(58)}",
    "vault": f"hvs.{some(95)}",
    "terraform": f"{some(14)}.atlasv1.{some(67)}",
    "tailscale": f"tskey-auth-{some(12)}-{some(32)}",
    "doppler": f"dp.pt.{some(43)}",
    "supabase": f"sbp_{some(40, HEX)}",
    "age": f"AGE-SECRET-KEY-1{some(58, UPPER)}",
    "slack": f"xoxb-{some(12, string.digits)}-{some(12, string.digits)}-{some(24)}",
    "slack-hook": f"https://hooks.slack.com/services/T{some(8, UPPER)}/B{some(8, UPPER)}/{some(24)}",
    "discord-hook": f"https://discord.com/api/webhooks/{some(18, string.digits)}/{some(68)}",
    "telegram": f"1{some(9, string.digits)}:AA{some(33)}",
    "stripe": f"sk_live_{some(24)}",
    "sendgrid": f"SG.{some(22)}.{some(43)}",
    "shopify": f"shpat_{some(32, HEX)}",
    "notion": f"ntn_{some(46)}",
    "linear": f"lin_api_{some(40)}",
    "atlassian": f"ATATT3{some(186)}",
    "postman": f"PMAK-{some(24, HEX)}-{some(34, HEX)}",
    "new-relic": f"NRAK-{some(27, UPPER)}",
    "grafana": f"glsa_{some(32)}_{some(8, HEX)}",
    "sentry": f"sntryu_{some(64, HEX)}",
    "rsa-key": pem("RSA "),
    "openssh-key": pem("OPENSSH "),
    "pkcs8-key": pem(""),
    "service-account": json.dumps({"type": "service_account", "private_key": pem("")}),
}
"""Kind → a text that holds one."""

FILES: dict[str, bytes] = {
    "app/.env": b"DB_PASSWORD=correct-horse\n",
    "root/.netrc": b"machine api.wandb.ai login user password 0123\n",
    "root/.ssh/id_ed25519": b"x\n",
    "root/.kaggle/kaggle.json": b'{"username": "a", "key": "b"}',
    "root/.cache/huggingface/token": b"x",
    "root/.aws/credentials": b"[default]\n",
    "root/.config/pip/pip.conf": b"[global]\nindex-url = https://bot:s3cr3tpass@pypi.example/simple\n",
    "root/.npmrc": b"//registry.example/:_authToken=0b4c\n",
    "root/.docker/config.json": b'{"auths": {"r.example": {"auth": "Ym90OnMzY3IzdA=="}}}',
    "app/.git/config": b'[remote "origin"]\n\turl = https://bot:gh0stp4ss@git.example/a.git\n',
    "etc/apt/auth.conf.d/private.conf": b"machine deb.example login bot password w0rdp4ss\n",
    "app/keystore.p12": b"\x30\x82\0\0",
    "app/requirements-private.txt": b"--extra-index-url https://bot:p4ssw0rd@pypi.example/simple\n",
}
"""Files that give themselves away by name or form."""


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def bytecode(text: str) -> bytes:
    code = compile(f"TOKEN = {text!r}\n", "settings.py", "exec")
    return b"\xcb\r\r\n" + bytes(12) + marshal.dumps(code)


def git_object(text: str) -> bytes:
    body = text.encode()
    return zlib.compress(b"blob %d\0" % len(body) + body)


def git_pack(*texts: str) -> bytes:
    """Whole blobs, each less than 2 KiB."""
    parts = [b"PACK", (2).to_bytes(4, "big"), len(texts).to_bytes(4, "big")]
    for text in texts:
        body = text.encode()
        parts += [bytes([0x80 | 3 << 4 | len(body) & 15, len(body) >> 4]), zlib.compress(body)]
    return b"".join(parts) + bytes(20)


def database(folder: Path, text: str) -> bytes:
    path = folder / "secrets.db"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("create table settings (value text)")
        connection.execute("insert into settings values (?)", (text,))
    connection.close()
    return path.read_bytes()


LINE = f"token: {HF}\n".encode()
PLACES: dict[str, bytes] = {
    "opt/dist/demo-1.0-py3-none-any.whl": zipped({"demo/settings.py": LINE}),
    "opt/lib/app.jar": zipped({"BOOT-INF/lib/inner.jar": zipped({"application.properties": LINE})}),
    "backup/home.tar.gz": tarred({"home/notes.txt": LINE}, "w:gz"),
    "backup/home.tar": tarred({"home/notes.txt": LINE}),
    "backup/keys.tar.xz": tarred({"root/.ssh/id_rsa": b"x"}, "w:xz"),
    "var/log/install.log.gz": gzip.compress(LINE),
    "var/log/old.log.bz2": bz2.compress(LINE),
    "var/log/older.log.xz": lzma.compress(LINE),
    "app/__pycache__/settings.cpython-312.pyc": bytecode(HF),
    "app/__pycache__/other.cpython-312.pyc": bytecode(f"sk-proj-{some(60)}"),
    "app/.git/objects/ab/" + "0" * 38: git_object(f"key = {GITHUB}\n"),
    "app/.git/objects/pack/pack-1.pack": git_pack("nothing\n" * 20, f"key = {GITHUB}\n"),
    "app/notes.ipynb": json.dumps({"cells": [{"outputs": [{"text": [f"{HF}\n"]}]}]}).encode(),
    "app/windows.txt": f"token {HF}\r\n".encode("utf-16"),
    "app/large.log": b"nothing to see here\n" * 120_000 + LINE + b"more\n" * 300_000,
}
"""Where one may hide: archives, also in archives, bytecode, what Git keeps, text in UTF-16, large files."""

WANDB = some(40, HEX)
CONFIG: dict[str, Any] = {
    "config": {
        "Env": ["PATH=/usr/bin", f"HF_TOKEN={HF}", f"WANDB_API_KEY={WANDB}", "DATABASE_PASSWORD=Tr0ub4dor&3"],
        "Labels": {"org.example.deploy": f"https://hooks.slack.com/services/T12345678/B1234567/{some(24)}"},
        "Cmd": ["serve", "--token", GITHUB],
        "Healthcheck": {"Test": ["CMD-SHELL", f"curl -H 'Authorization: Bearer {some(40)}' localhost"]},
    },
    "history": [
        {"created_by": f"ARG KAGGLE_KEY={some(32, HEX)}", "empty_layer": True},
        {"created_by": f"|1 NPM_PASSWORD=Xy7{some(9)} /bin/sh -c npm install"},
        {"created_by": "RUN git clone https://bot:Gh7xkQ29@git.example/private.git", "empty_layer": True},
    ],
}
CONFIG_COUNT = 9
