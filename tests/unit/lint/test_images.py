"""Each rule over built images catches its cases and leaves others alone."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from lading.inspect.image.attached import Attachment
from lading.inspect.lint.built import BuiltImage, lint_image
from lading.inspect.lint.model import Finding, Severity
from lading.inspect.lint.output import as_json, sarif
from lading.inspect.lint.rule import Kind, all_rules
from lading.store import Store
from lint.image_cases import IMAGES, SELF, Case, Script
from scanned import images

CATCH = [
    pytest.param(rule, case, id=f"{rule}-{n}")
    for rule, (caught, _) in IMAGES.items()
    for n, case in enumerate(caught)
]
LEAVE = [
    pytest.param(rule, case, id=f"{rule}-{n}")
    for rule, (_, left) in IMAGES.items()
    for n, case in enumerate(left)
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return images.store_in(tmp_path)


def findings(store: Store, case: Case, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    first, *_ = case.layers
    plain = images.layer_tar

    def layer_tar(files: images.Layer) -> bytes:
        tar = io.BytesIO(
            plain({path: value for path, value in files.items() if not isinstance(value, Script)})
        )
        scripts = [(path, value) for path, value in files.items() if isinstance(value, Script)]
        with tarfile.open(fileobj=tar, mode="a", format=tarfile.PAX_FORMAT) as archive:
            for path, content in [*scripts, *(case.twice if files is first else ())]:
                info = tarfile.TarInfo(path)
                info.size, info.mode = len(content), 0o755
                archive.addfile(info, io.BytesIO(content))
        return tar.getvalue()

    monkeypatch.setattr(images, "layer_tar", layer_tar)
    explanation, facts = images.read(store, images.put(store, case.layers, case.config))
    built = BuiltImage(
        explanation=explanation,
        facts=facts,
        attached=_attached(case, str(explanation.image.digest)),
        driver=case.driver,
        gpu=case.gpu,
    )
    return lint_image(built, {})


def _attached(case: Case, digest: str) -> tuple[Attachment, ...] | None:
    if case.attached is None:
        return None
    return tuple(replace(one, subject=digest) if one.subject == SELF else one for one in case.attached)


@pytest.mark.parametrize(("rule", "case"), CATCH)
def test_a_rule_catches_its_images(
    store: Store, rule: str, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = findings(store, case, monkeypatch)
    assert rule in {finding.rule for finding in found}
    assert all(finding.place.startswith("image") for finding in found)


@pytest.mark.parametrize(("rule", "case"), LEAVE)
def test_a_rule_leaves_other_images_alone(
    store: Store, rule: str, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [found.message for found in findings(store, case, monkeypatch) if found.rule == rule] == []


def test_every_rule_has_three_cases_of_each_and_a_page() -> None:
    rules = {id: rule for id, rule in all_rules().items() if rule.kind is Kind.IMAGE}
    assert IMAGES.keys() == rules.keys()
    for id, (caught, left) in IMAGES.items():
        assert len(caught) >= 3 <= len(left), id
        assert all(part in rules[id].page for part in ("Bad:", "Good:")), id


def test_a_finding_names_image_file_and_layer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    case = IMAGES["LDI005"][0][0]
    (found,) = findings(store, case, monkeypatch)
    assert found.place == f"image {images.SITE}/a.pth (layer 1)"
    assert as_json(found)["layer"] == 1
    location = sarif([found], Path.cwd())["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == f"{images.SITE}/a.pth"


def test_a_level_may_be_changed_and_a_rule_be_off(store: Store) -> None:
    explanation, facts = images.read(store, images.put(store, [{"a": b"x"}], {"config": {"User": "app"}}))
    built = BuiltImage(explanation=explanation, facts=facts)
    assert [f.severity for f in lint_image(built, {"LDI016": Severity.ERROR})] == [Severity.ERROR]
    assert lint_image(built, {"LDI016": Severity.OFF}) == []
    assert lint_image(built, {})[0].key == "\tLDI016\tits user is `app`: write the number", "for a baseline"
