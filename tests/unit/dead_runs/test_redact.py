"""Law: what is secret on this machine, or looks like a secret, is in no byte of a bundle."""

from __future__ import annotations

import base64
import gzip
import io
import json
import string
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lading.errors import InternalError, UsageError
from lading.inspect.doctor.bundle import (
    BundleInputs,
    archive_bytes,
    bundle_members,
    shown_variables,
    write_bundle,
)
from lading.inspect.doctor.redact import NOT_SECRET_VALUES, Redactor, is_secret_name, secrets_in

WORD = string.ascii_letters + string.digits
SECRETS = st.text(WORD + "+/=_-.!@#$%^&*~", min_size=8, max_size=60).filter(
    lambda text: len(set(text)) > 5 and text[0] in WORD and text[-1] in WORD
)
PLAIN = st.text(WORD + "_-", min_size=12, max_size=40).filter(lambda text: len(set(text)) > 5)
"""As issuers make them: nothing that ends a word."""
ANY = st.text(min_size=4, max_size=40).filter(lambda text: len(text.strip()) >= 4 and len(set(text)) > 3)
FORMS: dict[str, Callable[[str], str]] = {
    "authorization": lambda s: f"> Authorization: Bearer {s}\n",
    "authorization, JSON": lambda s: json.dumps({"headers": {"Authorization": f"Basic {s}"}}),
    "authorization, dict": lambda s: repr({"authorization": f"token {s}", "accept": "*/*"}),
    "header of a key": lambda s: f"X-Api-Key: {s}",
    "gitlab": lambda s: f"PRIVATE-TOKEN: {s}",
    "cookie": lambda s: f"Set-Cookie: session={s}; Path=/; HttpOnly",
    "address": lambda s: f"Looking in indexes: https://user:{s}@pypi.example.com/simple",
    "address, token alone": lambda s: f"cloning https://{s}@git.example.com/x.git",
    "database": lambda s: f"postgresql://trainer:{s}@db.internal:5432/runs",
    "query": lambda s: f"GET https://api.example.com/v1?user=1&access_token={s}&page=2 HTTP/1.1",
    "signed": lambda s: f"https://b.s3.amazonaws.com/k?X-Amz-Credential={s}&X-Amz-Signature={s}",
    "azure": lambda s: f"https://a.blob.core.windows.net/c?sv=2022&sig={s}",
    "dotenv": lambda s: f"HF_TOKEN={s}",
    "export": lambda s: f"export AWS_SECRET_ACCESS_KEY='{s}'",
    "quoted": lambda s: f'password = "{s}"',
    "yaml": lambda s: f"db:\n  password: {s}\n  host: x\n",
    "toml": lambda s: f'[auth]\napi_key = "{s}"\n',
    "json": lambda s: json.dumps({"wandb": {"apiKey": s}}),
    "json in json": lambda s: json.dumps({"body": json.dumps({"client_secret": s})}),
    "environ": lambda s: f"environ({{'OPENAI_API_KEY': '{s}', 'HOME': '/x'}})",
    "option": lambda s: f"+ train.py --api-key {s} --epochs 3",
    "option, joined": lambda s: f"+ docker login --password={s}",
    "curl": lambda s: f"curl -s -u admin:{s} https://x.example.com",
    "netrc": lambda s: f"machine api.wandb.ai login user password {s}",
    "netrc, lines": lambda s: f"machine api.wandb.ai\n  login user\n  password {s}\n",
    "connection": lambda s: f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={s};EndpointSuffix=x",
    "attribute": lambda s: f"Config(host='x', auth_token='{s}', retries=3)",
    "camel": lambda s: f"accessToken: {s}",
    "hugging face": lambda s: f"login with hf_{s}",
    "github": lambda s: f"remote said ghp_{s} is expired",
    "openai": lambda s: f"Incorrect API key provided: sk-{s}.",
    "aws": lambda s: f"key AKIA{s} was refused",
    "jwt": lambda s: f"got eyJ{s}.eyJ{s}.{s} back",
}
PLACES = ("log", "toml", "reason", "command", "parameter", "environment")


def _own_words() -> str:
    """What every bundle says, whatever is planted."""
    members = [bundle_members(planted("", place), Redactor()).members for place in PLACES]
    return "".join(f"bundle/{name}\n{content.decode()}" for member in members for name, content in member)


def archive(inputs: BundleInputs, redactor: Redactor) -> bytes:
    """All bytes of the bundle's files, read back from the archive."""
    bundle = bundle_members(inputs, redactor)
    assert not any(redactor.leaks(content) for _, content in bundle.members)
    content = b""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive_bytes(bundle, "bundle")))) as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            content += member.name.encode() + b"\n" + file.read()
    return content


def planted(text: str, place: str) -> BundleInputs:
    """A bundle's contents with `text` in one place."""
    inputs: dict[str, Any] = {
        "versions": {"lading": "1"},
        "host": {},
        "run": {"reason": None, "seal_terms": {"command": ["python"], "params": {}}},
        "log": "epoch 1\n",
    }
    if place == "log":
        inputs["log"] = f"epoch 1\n{text}\nepoch 2\n"
    elif place == "toml":
        inputs["files"] = {"lading.toml": text}
    elif place == "reason":
        inputs["run"]["reason"] = text
    elif place == "command":
        inputs["run"]["seal_terms"]["command"].append(text)
    elif place == "parameter":
        inputs["run"]["seal_terms"]["params"]["x"] = text
    else:
        inputs["environment"] = {"LADING_NOTE": text}
    return BundleInputs(**inputs)


OWN_WORDS = _own_words()


@pytest.mark.parametrize("form", FORMS)
@given(secret=PLAIN, place=st.sampled_from(PLACES))
@settings(max_examples=25, deadline=None)
def test_a_secret_that_nobody_told_of_is_found_by_its_form(form: str, secret: str, place: str) -> None:
    assume(secret.encode() not in archive(planted("", place), Redactor()))  # such as `circumstances`
    assert secret.encode() not in archive(planted(FORMS[form](secret), place), Redactor())


@given(
    secret=ANY,
    place=st.sampled_from(PLACES),
    encode=st.sampled_from(
        (
            str,
            repr,
            json.dumps,
            quote,
            quote_plus,
            lambda s: json.dumps(json.dumps(s)),
            lambda s: base64.b64encode(s.encode()).decode(),
            lambda s: base64.urlsafe_b64encode(f"me:{s}".encode()).decode(),
            lambda s: base64.b64encode(f"user:{s}\n".encode()).decode(),
            lambda s: s.encode().hex(),
        )
    ),
    before=st.text(WORD, max_size=3),
)
@settings(max_examples=150, deadline=None)
def test_a_known_secret_is_gone_in_every_form_and_place(
    secret: str,
    place: str,
    encode: Callable[[str], str],
    before: str,
) -> None:
    shown = encode(secret)
    assume(secret.strip().lower() not in NOT_SECRET_VALUES)
    assume(secret.strip() not in OWN_WORDS and shown.strip("\"'") not in OWN_WORDS)
    redactor = Redactor(secrets=secrets_in({"DB_PASSWORD": secret}))
    content = archive(planted(f"{before} {shown} and", place), redactor)
    assert secret.strip().encode() not in content
    if len(secret.encode()) >= 6:
        assert shown.strip("\"'").encode() not in content


@given(secret=SECRETS)
@settings(deadline=None)
def test_a_secret_in_an_address_of_the_environment_is_known_apart_from_it(secret: str) -> None:
    plain = secret.replace("/", "").replace("@", "")
    assert plain in secrets_in({"DATABASE_URL": f"postgres://me:{plain}@db/x"})


def test_persons_and_machines_are_taken_out() -> None:
    redactor = Redactor(
        homes=("/home/alice",), users=("alice", "Alice Smith"), hosts=("gpu-17", "gpu-17.corp.lan")
    )
    text = (
        'File "/home/alice/work/train.py" on gpu-17.corp.lan by alice <alice@corp.example>, also '
        "/home/bob/x and "
        "C:/Users/carol; Alice Smith; malice stays"
    )
    done = redactor.text(text).text
    assert not any(word in done.replace("malice", "") for word in ("alice", "Alice", "bob", "gpu-17", "corp"))
    assert "~/work/train.py" in done
    assert "malice" in done


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens=512 num_tokens: 3 tokenizer = 'bert'",
        "TOKENIZERS_PARALLELISM=false",
        "sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393",
        "author = Somebody, monkey: banana, keyboard=us",
        'secrets = ["HF_TOKEN"]',
        "KeyError: 'LEARNING_RATE'",
        "loss 0.31 accuracy=0.97 key 7 of 9",
    ],
)
def test_harmless_text_stays(text: str) -> None:
    assert Redactor().text(text).text == text


def test_variables_that_mean_secrets_are_told_from_others() -> None:
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "db.password", "apiKey", "SSH_AUTH_SOCK", "GITHUB_PAT"):
        assert is_secret_name(name), name
    for name in ("TOKENIZERS_PARALLELISM", "PATH", "PWD", "KEYBOARD", "MONKEY", "HOME"):
        assert not is_secret_name(name), name
    shown = shown_variables({"LADING_HOME": "/x", "HF_TOKEN": "s", "EDITOR": "vi", "HTTPS_PROXY": "http://p"})
    assert shown == {"LADING_HOME": "/x", "HF_TOKEN": "[set]", "HTTPS_PROXY": "http://p"}


def test_documents_stay_documents() -> None:
    redactor = Redactor(secrets=('p4ss"word', "1234567"))
    document = {
        "a": 'x p4ss"word',
        "password": "y",
        "n": 1234567,
        "token": None,
        "list": [1.5, True, "HF_TOKEN"],
    }
    assert redactor.document(document) == {
        "a": "x [redacted]",
        "password": "[redacted]",
        "n": "[redacted]",
        "token": None,
        "list": [1.5, True, "HF_TOKEN"],
    }


def test_the_log_stays_out_where_a_secret_of_the_run_is_unknown() -> None:
    inputs = BundleInputs(
        versions={}, host={}, run={}, log="the word is swordfish\n", unknown_secrets=("WORD",)
    )
    content = archive(inputs, Redactor())
    assert b"swordfish" not in content
    assert b"the log: the run had the secret WORD" in content


def test_a_bundle_says_what_was_left_out_and_is_the_same_each_time(tmp_path: Path) -> None:
    inputs = BundleInputs(
        versions={},
        host={},
        run={},
        log="Authorization: Bearer abcdefgh\n",
        log_left_out_bytes=77,
        environment={"EDITOR": "vi", "LADING_HOME": "/x"},
    )
    bundle = bundle_members(inputs, Redactor())
    assert bundle.members[0][0] == "README.txt"
    readme = bundle.members[0][1].decode()
    for line in (
        "1 environment variables, by name and value",
        "77 bytes from the middle of the log",
        "1 places with headers",
    ):
        assert line in readme
    sizes = [write_bundle(bundle, Redactor(), tmp_path / name / "b.tar.gz") for name in _folders(tmp_path)]
    first, second = ((tmp_path / name / "b.tar.gz").read_bytes() for name in ("one", "two"))
    assert first == second
    assert sizes == [len(first)] * 2
    assert (tmp_path / "one/b.tar.gz").stat().st_mode & 0o777 == 0o600


def _folders(root: Path) -> tuple[str, str]:
    for name in ("one", "two"):
        (root / name).mkdir()
    return "one", "two"


def test_nothing_is_written_over_and_nothing_that_leaks(tmp_path: Path) -> None:
    bundle = bundle_members(BundleInputs(versions={"x": "swordfish"}, host={}), Redactor())
    with pytest.raises(InternalError):
        write_bundle(bundle, Redactor(secrets=("swordfish",)), tmp_path / "b.tar.gz")
    assert not (tmp_path / "b.tar.gz").exists()
    write_bundle(bundle, Redactor(), tmp_path / "b.tar.gz")
    with pytest.raises(UsageError):
        write_bundle(bundle, Redactor(), tmp_path / "b.tar.gz")
