"""Credentials never enter an image (catalogue Z01, Z04, Z05, Z09, Z10)."""

from __future__ import annotations

import hashlib
import json
import random
import string
import uuid
from pathlib import Path

import pytest

from lading.errors import CredentialFound
from lading.project.credentials import suspicions
from lading.project.load import load_project
from lading.project.model import CodeFile

from .folders import TODAY, load_folder, write_folder

RANDOM = random.Random(7)


def characters(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(RANDOM.choices(alphabet, k=count))


PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    + characters(64)
    + "\n"
    + characters(64)
    + "\n-----END RSA PRIVATE KEY-----\n"
)
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

BY_NAME = {
    ".env": "HF_TOKEN=abc\n",
    ".env.production": "# x\nexport DB_PASSWORD='x'\n",
    "deploy/.netrc": "machine x login y password z\n",
    ".ssh/id_rsa": "x",
    "keys/id_ed25519": "x",
    "kaggle.json": "{}",
    ".cache/huggingface/token": "x",
    "home/.aws/credentials": "[default]\n",
    "wandb_home/.netrc": "machine api.wandb.ai\n",
    ".pypirc": "[pypi]\n",
    ".npmrc": "//registry.example/:_authToken=abc\n",
    ".git-credentials": "https://u:p@h\n",
    ".docker/config.json": '{"auths": {"r": {"auth": "eDp5"}}}',
    ".kube/config": "x",
    "store.p12": "x",
    ".streamlit/secrets.toml": "a = 1",
    "pip.conf": "[global]\nindex-url = https://me:secret@h.example/simple\n",
}
BY_CONTENT = {
    "server.pem": PEM,
    "config.py": f'TOKEN = "hf_{characters(34)}"\n',
    "a.py": f"x = 'ghp_{characters(36)}'\n",
    "b.yaml": f"key: AKIA{characters(16, UPPER)}\n",
    "c.txt": f"sk-proj-{characters(60)}\n",
    "d.txt": f"sk-ant-api03-{characters(90)}\n",
    "e.txt": f"xoxb-{characters(12, string.digits)}-{characters(24)}\n",
    "f.txt": f"glpat-{characters(20)}\n",
    "g.js": f"const k = 'AIza{characters(35)}'\n",
    "service-account.json": json.dumps({"type": "service_account", "private_key": PEM}),
    "notes.ipynb": json.dumps({"cells": [{"outputs": [{"text": [f"token hf_{characters(34)}\n"]}]}]}),
}


@pytest.mark.catalogue("Z01", "Z05")
@pytest.mark.parametrize("path", [*BY_NAME, *BY_CONTENT])
def test_what_looks_like_a_credential_stops_the_load_by_name(tmp_path: Path, path: str) -> None:
    content = {**BY_NAME, **BY_CONTENT}[path]
    with pytest.raises(CredentialFound) as caught:
        load_folder(tmp_path, {"train.py": "", path: content})
    assert path in str(caught.value)
    assert caught.value.place is not None
    assert caught.value.place.startswith(path)
    assert any(".ladingignore" in hint for hint in caught.value.hints)
    for secret in content.split():
        assert len(secret) < 20 or secret not in str(caught.value)


def test_what_a_credential_is_called_has_the_article_that_is_spoken(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(BY_CONTENT["b.yaml"])
    code = CodeFile(path="b.yaml", size_bytes=30, executable=False)
    (found,) = suspicions(tmp_path, [code])
    assert found.what == "holds what looks like an AWS access key"


def test_all_are_named_at_once_with_their_lines(tmp_path: Path) -> None:
    with pytest.raises(CredentialFound) as caught:
        load_folder(tmp_path, {"x.py": f"\n\nt = 'hf_{characters(34)}'\n", ".netrc": "machine x\n"})
    assert "x.py:3" in str(caught.value)
    assert ".netrc" in str(caught.value)


HARMLESS = {
    ".env.example": "HF_TOKEN=\nURL=http://localhost\n",
    ".env": "# only comments\nHF_TOKEN=\nOTHER=''\n",
    ".npmrc": "save-exact=true\n//r/:_authToken=${NPM_TOKEN}\n",
    "ca.pem": "-----BEGIN CERTIFICATE-----\n" + characters(64) + "\n-----END CERTIFICATE-----\n",
    "parse_keys.py": 'HEADER = "-----BEGIN RSA PRIVATE KEY-----"\nFOOTER = "-----END RSA PRIVATE KEY-----"\n',
    "id_rsa.pub": "ssh-rsa AAAA\n",
    "README.rst": "set HF_TOKEN=hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx or AKIAIOSFODNN7EXAMPLE\n",
    "hashes.txt": "".join(hashlib.sha256(bytes([n])).hexdigest() + "\n" for n in range(200)),
    "ids.json": json.dumps([str(uuid.UUID(int=RANDOM.getrandbits(128))) for _ in range(200)]),
    "uv.lock": "".join(f'hash = "sha256:{hashlib.sha256(bytes([n])).hexdigest()}"\n' for n in range(200)),
    "names.py": "task_risk_sk_learn = 'sk-learn-pipeline-with-a-long-kebab-case-name-for-everything'\n",
    "base64.txt": "\n".join(characters(76, string.ascii_letters + string.digits + "+/") for _ in range(2000)),
    "picture.ipynb": json.dumps({"outputs": [{"image/png": characters(200_000)}]}),
    "weights.bin": "\0" + PEM,
}


@pytest.mark.catalogue("Z09")
def test_hashes_ids_lock_files_and_examples_are_no_credentials(tmp_path: Path) -> None:
    write_folder(tmp_path, HARMLESS)
    files = [CodeFile(path=path, size_bytes=len(text), executable=False) for path, text in HARMLESS.items()]
    assert suspicions(tmp_path, files) == ()


@pytest.mark.catalogue("Z09")
def test_installed_packages_of_this_machine_hold_none(tmp_path: Path) -> None:
    """A large body of real code as the oracle for false hits: the standard library."""
    import json as module

    library = Path(module.__file__).parent.parent
    paths = [
        path
        for name in ("asyncio", "http", "email", "json", "urllib")
        for path in (library / name).rglob("*.py")
    ]
    files = [
        CodeFile(path=str(path.relative_to(library)), size_bytes=path.stat().st_size, executable=False)
        for path in paths
    ]
    assert len(files) > 60
    assert suspicions(library, files) == ()


ALLOW = '[[image.allow_secret]]\npath = "fixtures/*.pem"\nreason = "self-signed, for tests"\nexpires = {}\n'


@pytest.mark.catalogue("Z10")
def test_an_exception_with_reason_and_day_lets_a_file_in(tmp_path: Path) -> None:
    project = load_folder(tmp_path, {"fixtures/a.pem": PEM, "lading.toml": ALLOW.format("2027-01-31")})
    assert [file.path for file in project.code.files] == ["fixtures/a.pem"]
    with pytest.raises(CredentialFound, match=r"other\.pem"):
        load_folder(tmp_path, {"other.pem": PEM})


def test_an_ignored_file_is_no_problem(tmp_path: Path) -> None:
    load_folder(tmp_path, {".env": "A=1\n", ".gitignore": ".env\n"})


def test_a_command_that_makes_no_image_may_leave_the_search_out(tmp_path: Path) -> None:
    write_folder(tmp_path, {".env": "A=1\n"})
    assert load_project(tmp_path, environment={}, scan_credentials=False, today=TODAY).code.files
