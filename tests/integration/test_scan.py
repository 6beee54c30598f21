"""`lading scan` and `lading lint` on images that lading and real Docker made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scanned.innocent import FILES
from scanned.planted import LINE
from scanned.records import CRITICAL, record
from services.process import Tool

pytestmark = [pytest.mark.slow]

REQUIREMENTS = "jinja2==3.1.2\nmarkupsafe==2.1.5\n"
SCAN = """
[scan]
vulnerabilities = "advisories.jsonl"

[[scan.allow]]
finding = "GHSA-h5c8-rqwp-cp95"
package = "jinja2"
reason = "no template is a stranger's"
expires = 2099-01-01
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scanned")
    (folder / "requirements.txt").write_text(REQUIREMENTS)
    (folder / "train.py").write_text("import jinja2\n")
    records = (
        record(
            "PYSEC-2024-1",
            "jinja2",
            ("introduced", "0"),
            ("fixed", "3.1.3"),
            aliases=["CVE-2024-22195"],
            vector=CRITICAL,
        ),
        record(
            "GHSA-h5c8-rqwp-cp95",
            "Jinja2",
            ("introduced", "0"),
            ("fixed", "3.1.3"),
            aliases=["CVE-2024-22195"],
        ),
        record("CVE-2024-0", "markupsafe", ("introduced", "0"), ("fixed", "2.1.5"), vector=CRITICAL),
        *(
            record(
                "DEBIAN-CVE-0-1",
                "glibc",
                ("introduced", "0"),
                ecosystem=f"Debian:{release}",
                upstream=["CVE-0-1"],
            )
            for release in (12, 13)
        ),
    )
    (folder / "advisories.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    return folder


def _scan(lading: Tool, *words: str, cwd: Path, status: int) -> dict[str, Any]:
    done = lading("scan", *words, "--json", cwd=cwd, check=False)
    assert done.returncode == status, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.network
def test_a_planted_package_fails_the_gate_until_an_exception_lets_it_be(lading: Tool, project: Path) -> None:
    """The image itself has no secret, no changed file, nothing that starts by itself, and no lint."""
    lading("build", cwd=project)
    document = _scan(lading, "--vulnerabilities", "advisories.jsonl", cwd=project, status=5)
    flaws = {found["id"]: found for found in document["findings"] if found["check"] == "vulnerabilities"}
    assert list(flaws) == ["CVE-2024-22195", "CVE-0-1"]
    assert (flaws["CVE-2024-22195"]["version"], flaws["CVE-2024-22195"]["fixed"]) == ("3.1.2", "3.1.3")
    assert {found["check"] for found in document["findings"]} == {"setuid", "vulnerabilities"}
    assert document["metrics"]["unjudged"] == 0
    (project / "lading.toml").write_text(SCAN)
    assert _scan(lading, cwd=project, status=0)["gate"]["outcome"] == "pass"
    linted = lading("lint", document["digest"], "--json", cwd=project)
    assert json.loads(linted.stdout)["findings"] == []


@pytest.mark.root
@pytest.mark.docker
def test_what_docker_built_is_searched_in_every_layer(docker: Tool, lading: Tool, tmp_path: Path) -> None:
    """A secret that a later layer hides, one in a variable; none among all that only looks like one."""
    context = tmp_path / "context"
    for path, content in FILES.items():
        file = context / "innocent" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (context / "settings.txt").write_bytes(LINE)
    (context / "other.txt").write_bytes(b"nothing\n")
    (context / "Dockerfile").write_text(
        "FROM scratch\nCOPY innocent /\nCOPY settings.txt /app/settings.txt\n"
        "COPY other.txt /app/settings.txt\n"
        "ENV DATABASE_PASSWORD=Tr0ub4dor&3\n"
    )
    docker("build", "--quiet", "--tag", "scanned:1", context)
    archive = tmp_path / "scanned.tar"
    docker("save", "--output", archive, "scanned:1")
    document = _scan(lading, f"docker-archive:{archive}", "--only", "secrets", cwd=tmp_path, status=5)
    found = [(one["path"], one["layer"], one["hidden"]) for one in document["findings"]]
    assert sorted(found, key=str) == [
        ("app/settings.txt", 2, "rewritten"),
        ("config: env DATABASE_PASSWORD", None, ""),
        ("config: history entry 4", None, ""),
    ]
    linted = lading("lint", f"docker-archive:{archive}", "--json", cwd=tmp_path, check=False)
    rules = [one["rule"] for one in json.loads(linted.stdout)["findings"]]
    assert (linted.returncode, rules.count("LDI001")) == (1, 3)
    assert "LDI015" not in rules, "an archive of Docker's cannot hold what refers to it"
