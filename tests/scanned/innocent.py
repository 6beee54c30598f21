"""What looks like secrets and is none: it is in every other image, and must not alarm."""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
import random
import string
import struct
import uuid
import zlib

from scanned.images import wheel
from scanned.planted import HF, bytecode, pem, zipped

RANDOM = random.Random(29)
LETTERS = string.ascii_letters + string.digits


def some(count: int, alphabet: str = LETTERS) -> str:
    return "".join(RANDOM.choices(alphabet, k=count))


def digest(number: int, kind: str = "sha256") -> str:
    return hashlib.new(kind, number.to_bytes(4, "big")).hexdigest()


def _json_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


def safetensors() -> bytes:
    header = _json_bytes({"w": {"dtype": "F32", "shape": [64], "data_offsets": [0, 256]}})
    return struct.pack("<Q", len(header)) + header + RANDOM.randbytes(256)


def jwt() -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": "1234567890", "name": "John Doe", "iat": 1516239022})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, some(43)])


CERTIFICATE = f"-----BEGIN CERTIFICATE-----\n{some(64)}\n{some(64)}\n-----END CERTIFICATE-----\n"
FILES: dict[str, bytes] = {
    "models/model.safetensors": safetensors(),
    "models/model.safetensors.sha256": f"{digest(1)}  model.safetensors\n".encode(),
    "models/model.safetensors.index.json": _json_bytes(
        {"weight_map": {f"layer.{n}": digest(n) for n in range(99)}}
    ),
    "models/config.json": _json_bytes(
        {"_commit_hash": digest(3, "sha1"), "_name_or_path": "bert-base-uncased"}
    ),
    "models/tokenizer.json": _json_bytes(
        {"model": {"vocab": {some(RANDOM.randint(2, 60)): n for n in range(5000)}}}
    ),
    "models/weights.bin": RANDOM.randbytes(200_000),
    "models/vectors.npy": b"\x93NUMPY\x01\0" + RANDOM.randbytes(20_000),
    "models/scaler.pkl": pickle.dumps({"mean": [0.5] * 50, "id": digest(9)}),
    "root/.cache/huggingface/hub/models--a/refs/main": digest(4, "sha1").encode(),
    "root/.cache/huggingface/hub/models--a/blobs/" + digest(5): RANDOM.randbytes(1000),
    "app/uv.lock": "".join(f'hash = "sha256:{digest(n)}"\n' for n in range(500)).encode(),
    "app/poetry.lock": "".join(
        f'{{file = "a-{n}.whl", hash = "sha256:{digest(n)}"}},\n' for n in range(99)
    ).encode(),
    "app/package-lock.json": _json_bytes(
        {
            f"p{n}": {"integrity": "sha512-" + base64.b64encode(hashlib.sha512(b"%d" % n).digest()).decode()}
            for n in range(300)
        }
    ),
    "app/yarn.lock": "".join(
        f"a@1:\n  integrity sha1-{base64.b64encode(hashlib.sha1(b'%d' % n).digest()).decode()}\n"
        for n in range(300)
    ).encode(),
    "app/go.sum": "".join(f"example.org/a v1.{n}.0 h1:{some(43)}=\n" for n in range(200)).encode(),
    "app/Cargo.lock": "".join(f'checksum = "{digest(n)}"\n' for n in range(200)).encode(),
    "app/conda-lock.yml": "".join(
        f"    md5: {digest(n, 'md5')}\n    sha256: {digest(n)}\n" for n in range(99)
    ).encode(),
    "app/ids.json": _json_bytes([str(uuid.UUID(int=RANDOM.getrandbits(128), version=4)) for _ in range(500)]),
    "app/.env.example": b"HF_TOKEN=hf_your_token_here\nOPENAI_API_KEY=sk-" + b"x" * 48 + b"\n",
    "app/.git/objects/0a/" + digest(6, "sha1")[2:]: zlib.compress(f"blob 90\0{digest(7)}\n".encode()),
    "app/.git/config": b'[remote "origin"]\n\turl = https://github.com/acme/app.git\n',
    "app/picture.ipynb": _json_bytes({"outputs": [{"image/png": some(100_000, LETTERS + "+/")}]}),
    "app/page.html": f'<img src="data:image/png;base64,{some(50_000, LETTERS + "+/")}">'.encode(),
    "app/bundle.js.map": _json_bytes({"mappings": some(50_000, LETTERS + ",;")}),
    "app/names.py": b"task_risk_sk_learn = 'sk-learn-pipeline-with-a-long-kebab-case-name-for-everything'\n",
    "app/parse.py": b'HEAD = "-----BEGIN RSA PRIVATE KEY-----"\nEND = "-----END RSA PRIVATE KEY-----"\n',
    "app/__pycache__/a.cpython-312.pyc": bytecode(digest(8)),
    "app/checksums.zip": zipped({"sums.txt": "".join(digest(n) + "\n" for n in range(500)).encode()}),
    "app/requirements.txt": b"--extra-index-url https://${USER}:${PASSWORD}@pypi.example/simple\nhttps://user:password@h/x\n",
    "app/docs.md": b"export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
    "app/azurite.py": b"AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/"
    b"K1SZFPTOtr/KBHBeksoGMGw==\n",
    "app/tests/vectors.json": _json_bytes([jwt() for _ in range(20)]),
    "etc/ssl/certs/ca-certificates.crt": (CERTIFICATE * 40).encode(),
    "etc/ssh/ssh_host_rsa_key.pub": f"ssh-rsa AAAAB3NzaC1yc2E{some(300)} root@host\n".encode(),
    "root/.ssh/known_hosts": f"github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5{some(44)}\n".encode(),
    "usr/share/keyrings/archive.asc": f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{some(64)}\n".encode(),
    "etc/shadow": b"root:*:19700:0:99999:7:::\n",
    "usr/lib/python3.12/test/certdata/keycert.pem": pem("").encode(),
    "usr/share/doc/openssl/examples/server.key": pem("RSA ").encode(),
    "usr/bin/tool": b"\x7fELF\x02\x01" + pem("RSA ").encode(),
    "var/lib/dpkg/info/a.md5sums": "".join(f"{digest(n, 'md5')}  usr/bin/a{n}\n" for n in range(99)).encode(),
    **wheel(
        "demo",
        "1.0",
        {
            "demo/__init__.py": b"",
            "demo/tests/server.key": pem("RSA ").encode(),
            "demo/tests/test_auth.py": f'KEY = "AKIA{some(16, "ABCDEFGHIJKLMNOP")}"\n'.encode(),
            "demo/docs/jwt.md": f"Example: `{jwt()}`\n".encode(),
            "demo/jwt.py": f'"""Example: {jwt()}"""\n'.encode(),
            "demo/examples/id_rsa": pem("OPENSSH ").encode(),
            "demo/tests.py": f'KEY = """{pem("RSA ")}"""\n'.encode(),
            "demo/testing_utils.py": f'TOKEN = "{HF}"\n'.encode(),
            "demo/__pycache__/testing_utils.cpython-312.pyc": bytecode(HF),
            "demo/data/iam/examples-1.json": _json_bytes({"PrivateKey": pem("RSA ")}),
        },
    ),
}
CONFIG = {
    "config": {
        "Env": [
            "GPG_KEY=E3FF2839C048B25C084DEBE9B26995E310250568",
            f"PYTHON_SHA256={digest(11)}",
            "TOKENIZERS_PARALLELISM=false",
            "HF_TOKEN=",
            "HF_TOKEN_PATH=/run/secrets/hf",
            "MAX_TOKENS=32768000",
            "PASSWORD_FILE=/run/secrets/password",
            "SECRET_NAME=prod-database-credentials",
            "NV_CUDA_CUDART_VERSION=12.4.127-1",
            "WANDB_API_KEY=your-key-here",
            f"GIT_COMMIT={digest(12, 'sha1')}",
        ],
        "Labels": {"org.opencontainers.image.revision": digest(13, "sha1"), "digest": f"sha256:{digest(14)}"},
        "Cmd": ["python", "-m", "serve", "--max-tokens", "2048"],
    },
    "history": [
        {"created_by": "ARG HF_TOKEN", "empty_layer": True},
        {"created_by": f"RUN echo '{digest(15)}  a.tar.gz' | sha256sum -c -"},
        {
            "created_by": "RUN --mount=type=secret,id=hf HF_TOKEN=$(cat /run/secrets/hf) python fetch.py",
            "empty_layer": True,
        },
        {"created_by": "RUN git clone https://$USER:$TOKEN@git.example/a.git", "empty_layer": True},
    ],
}
