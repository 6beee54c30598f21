"""Whatever `docker login` and `podman login` left is found, and no secret is ever shown."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from lading.errors import OutsideError
from lading.registry.challenge import parse_challenges
from lading.registry.credentials import Credential, find_credential

SECRET = "s3cr3t"


def basic(user: str, password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def helper(folder: Path, name: str, script: str) -> dict[str, str]:
    """The environment with a credential helper that does `script`."""
    program = folder / "bin" / f"docker-credential-{name}"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"HOME": str(folder), "PATH": f"{program.parent}:/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("reg.example", "reg.example"),
        ("https://reg.example/v1/", "reg.example"),
        ("reg.example/team", "reg.example"),
        ("https://index.docker.io/v1/", "docker.io"),
    ],
)
def test_keys_of_docker_and_podman(tmp_path: Path, key: str, registry: str) -> None:
    write(tmp_path / ".docker/config.json", {"auths": {key: basic("me")}})

    found = find_credential(registry, "team/digits", {"HOME": str(tmp_path)})

    assert found == Credential(user="me", password=SECRET)


def test_the_longest_path_decides(tmp_path: Path) -> None:
    entries = {"reg.example": basic("all"), "reg.example/team": basic("team")}
    write(tmp_path / "auth.json", {"auths": entries})
    environment = {"HOME": str(tmp_path), "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}

    team = find_credential("reg.example", "team/digits", environment)
    other = find_credential("reg.example", "other/digits", environment)

    assert team is not None
    assert other is not None
    assert (team.user, other.user) == ("team", "all")


def test_files_are_asked_in_order(tmp_path: Path) -> None:
    """The named file, the runtime folder's, the configuration's, then Docker's."""
    places = {
        "named": tmp_path / "named.json",
        "runtime": tmp_path / "run/containers/auth.json",
        "config": tmp_path / "config/containers/auth.json",
        "docker": tmp_path / "docker/config.json",
    }
    environment = {
        "HOME": str(tmp_path),
        "REGISTRY_AUTH_FILE": str(places["named"]),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
    }
    for name, path in places.items():
        write(path, {"auths": {"reg.example": basic(name)}})

    for name, path in places.items():
        found = find_credential("reg.example", "x", environment)
        assert found is not None
        assert found.user == name
        path.unlink()
    assert find_credential("reg.example", "x", environment) is None


def test_an_identity_token_is_no_password(tmp_path: Path) -> None:
    write(
        tmp_path / ".docker/config.json",
        {"auths": {"reg.example": {**basic("<token>"), "identitytoken": "T"}}},
    )

    assert find_credential("reg.example", "x", {"HOME": str(tmp_path)}) == Credential(identity_token="T")


def test_a_helper_is_asked(tmp_path: Path) -> None:
    environment = helper(
        tmp_path, "here", f'read host; echo "{{\\"Username\\":\\"$host\\",\\"Secret\\":\\"{SECRET}\\"}}"'
    )
    write(tmp_path / ".docker/config.json", {"credHelpers": {"reg.example": "here"}})

    assert find_credential("reg.example", "x", environment) == Credential(user="reg.example", password=SECRET)


def test_a_helper_that_knows_nothing_is_no_error(tmp_path: Path) -> None:
    environment = helper(tmp_path, "here", "echo credentials not found in native keychain; exit 1")
    write(tmp_path / ".docker/config.json", {"credsStore": "here"})

    assert find_credential("reg.example", "x", environment) is None


@pytest.mark.parametrize(
    "script",
    [f"echo {SECRET}", f"echo {SECRET} >&2; exit 3", f'echo "[\\"{SECRET}\\"]"', "exec /nonexistent"],
)
def test_a_helper_that_talks_nonsense_is_named_and_not_quoted(tmp_path: Path, script: str) -> None:
    environment = helper(tmp_path, "bad", script)
    write(tmp_path / ".docker/config.json", {"credsStore": "bad"})

    with pytest.raises(OutsideError, match="docker-credential-bad") as failure:
        find_credential("reg.example", "x", environment)
    assert SECRET not in str(failure.value.as_json())


def test_a_helper_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lading.registry.credentials._HELPER_SECONDS", 0.2)
    environment = helper(tmp_path, "slow", "exec sleep 60")
    write(tmp_path / ".docker/config.json", {"credsStore": "slow"})

    with pytest.raises(OutsideError, match="gave no answer"):
        find_credential("reg.example", "x", environment)


@pytest.mark.parametrize("name", ["missing", "../../bin/sh"])
def test_a_helper_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path / ".docker/config.json", {"credsStore": name})

    with pytest.raises(OutsideError, match="not on PATH"):
        find_credential("reg.example", "x", {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"auths": {"reg.example": {"auth": "%%%"}}}',
        '{"auths": {"reg.example": {"auth": "YQ=="}}}',
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / ".docker/config.json"
    path.parent.mkdir()
    path.write_text(text)

    with pytest.raises(OutsideError) as failure:
        find_credential("reg.example", "x", {"HOME": str(tmp_path)})
    assert failure.value.place == str(path)


def test_no_secret_in_a_repr() -> None:
    assert SECRET not in repr(Credential(user="me", password=SECRET, identity_token=SECRET))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="x"', [("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push"',
            [("bearer", {"realm": "https://a/t", "service": "s", "scope": "repository:a/b:pull,push"})],
        ),
        ('Bearer realm="a\\"b" , service=s', [("bearer", {"realm": 'a"b', "service": "s"})]),
        ('Negotiate, Basic realm="x"', [("negotiate", {}), ("basic", {"realm": "x"})]),
        ("", []),
        ("=,=;;", []),
        ('Bearer realm="unfinished', [("bearer", {})]),
    ],
)
def test_challenges_are_read_as_far_as_they_make_sense(
    header: str, expected: list[tuple[str, dict[str, str]]]
) -> None:
    assert [(one.scheme, dict(one.parameters)) for one in parse_challenges(header)][
        : len(expected)
    ] == expected
