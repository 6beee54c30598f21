"""uv's variables count first, pip's where these are unset, the host's Python never."""

from __future__ import annotations

from pathlib import Path

from lading.lock.indexes import find_links, index_credentials, local_folders, uv_environment
from lading.lock.torch_index import torch_index


def test_pips_variables_stand_in_for_uvs() -> None:
    environment = {
        "PIP_INDEX_URL": "https://one/simple",
        "PIP_EXTRA_INDEX_URL": "https://two/simple https://three/simple",
        "PIP_FIND_LINKS": "/wheels https://four/links",
        "PIP_CERT": "/ca.crt",
    }
    result = uv_environment(environment, "cpu")
    assert result["UV_DEFAULT_INDEX"] == "https://one/simple"
    assert result["UV_EXTRA_INDEX_URL"] == "https://two/simple https://three/simple"
    assert result["UV_FIND_LINKS"] == "/wheels,https://four/links"
    assert result["SSL_CERT_FILE"] == "/ca.crt"


def test_uvs_own_variables_win() -> None:
    environment = {
        "UV_INDEX_URL": "https://uv/simple",
        "PIP_INDEX_URL": "https://pip/simple",
        "UV_INDEX": "more=https://uv2/simple",
        "PIP_EXTRA_INDEX_URL": "https://pip2/simple",
        "UV_FIND_LINKS": "/uv",
        "PIP_FIND_LINKS": "/pip",
    }
    result = uv_environment(environment, "cpu")
    assert "UV_DEFAULT_INDEX" not in result
    assert "UV_EXTRA_INDEX_URL" not in result
    assert find_links(environment) == ("/uv",)


def test_the_projects_wheel_folders_come_first() -> None:
    result = uv_environment({"UV_FIND_LINKS": "/mine"}, "cpu", ("/project/wheels",))
    assert result["UV_FIND_LINKS"] == "/project/wheels,/mine"


def test_the_torch_backend_follows_the_accelerator() -> None:
    def backend(value: str, accelerator: str) -> str | None:
        return uv_environment({"UV_TORCH_BACKEND": value}, accelerator).get("UV_TORCH_BACKEND")

    assert backend("cpu", "cpu") == "cpu"
    assert backend("cpu", "cuda") is None
    assert backend("cu130", "cuda") == "cu130"
    assert backend("cu130", "cpu") is None
    assert backend("auto", "cuda") is None  # would look at this host's GPU
    assert backend("cu130", "cu126") == "cu126"  # an accelerator that names a release is its own answer
    assert backend("cpu", "cu126") == "cu126"


def test_a_mirror_of_pytorchs_indexes_takes_uvs_own_addresses_place() -> None:
    mirror = {"LADING_TORCH_INDEX": "https://mirror/whl/"}
    assert "UV_TORCH_BACKEND" not in uv_environment(mirror, "cu126")
    assert torch_index(mirror, "cu126") == "https://mirror/whl/cu126"
    assert torch_index(mirror, "cpu") == "https://mirror/whl/cpu"
    assert torch_index(mirror, "cuda") is None  # the default build is on the default index
    assert torch_index({**mirror, "UV_TORCH_BACKEND": "cu130"}, "cuda") == "https://mirror/whl/cu130"
    assert torch_index({}, "cu126") is None


def test_credentials_come_from_index_urls_by_origin() -> None:
    environment = {
        "UV_INDEX": "private=https://a:b@one/simple https://two/simple",
        "UV_INDEX_CORP_PYPI_USERNAME": "me",
        "UV_INDEX_CORP_PYPI_PASSWORD": "pw",
        "PIP_INDEX_URL": "https://user:p%40ss@three:8443/simple",
    }
    assert index_credentials(environment) == {
        "https://one:443": ("a", "b"),
        "https://three:8443": ("user", "p@ss"),
    }
    assert index_credentials({"UV_INDEX": "https://a:b@host:99999/simple https://a:b@[::1/s"}) == {}
    named = {**environment, "UV_INDEX": "corp-pypi=https://four/simple"}
    assert index_credentials(named)["https://four:443"] == ("me", "pw")


def test_credentials_of_an_index_that_the_project_names(tmp_path: Path) -> None:
    environment = {
        "LADING_HOME": str(tmp_path / "home"),
        "UV_INDEX_CORP_USERNAME": "me",
        "UV_INDEX_CORP_PASSWORD": "pw",
    }
    declared = {"corp": "https://one/simple", "open": "https://two/simple"}
    assert index_credentials(environment, declared) == {"https://one:443": ("me", "pw")}


def test_only_folders_that_are_here_are_local(tmp_path: Path) -> None:
    places = (str(tmp_path), tmp_path.as_uri(), "https://host/links", str(tmp_path / "gone"))
    assert local_folders(places) == (tmp_path, tmp_path)
