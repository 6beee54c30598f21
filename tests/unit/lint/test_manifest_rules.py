"""Each rule over manifests catches its cases, in both styles of YAML, and mends nothing but what it found."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lading.inspect.lint.engine import lint_files, lint_text
from lading.inspect.lint.fix import mended
from lading.inspect.lint.rule import all_rules
from lint.argo_cases import ARGO
from lint.manifest_cases import KUBERNETES, Objects
from lint.volume_cases import VOLUMES

STYLES = {
    "block": lambda value: yaml.safe_dump(value, sort_keys=False),
    "indented": lambda value: yaml.dump(value, sort_keys=False, Dumper=_Indented),
    "flow": lambda value: json.dumps(value) + "\n",
}
CASES = {**KUBERNETES, **VOLUMES, **ARGO}
CATCH = [(rule, case) for rule, (caught, _) in CASES.items() for case in caught]
LEAVE = [(rule, case) for rule, (_, left) in CASES.items() for case in left]
MENDED = {
    "LDK001": {"limits", "nvidia.com/gpu"}, "LDK002": {"nvidia.com/gpu"}, "LDK005": {"volumes",
     "volumeMounts"}, "LDK006": {"sizeLimit"}, "LDK008": {"startupProbe"},
    "LDK009": {"terminationGracePeriodSeconds"}, "LDK010": {"lifecycle"}, "LDK013": {"readOnly"},
    "LDK015": {"volumes", "volumeMounts"}, "LDK016": {"value"}, "LDA003": {"inputs", "parameters"},
     "LDA005": {"limit"},
}  # fmt: skip
"""The keys below which a rule's mend may write."""


class _Indented(yaml.SafeDumper):
    """Lists stand further in than their key, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def written(case: Objects, style: str) -> str:
    return "---\n".join(STYLES[style](value) for value in case)


def found(text: str) -> list[str]:
    return [finding.rule for finding in lint_text("manifest.yaml", text, {})]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("rule", "case"), CATCH)
def test_a_rule_catches_its_cases(rule: str, case: Objects, style: str) -> None:
    assert rule in found(written(case, style))


@pytest.mark.parametrize(("rule", "case"), LEAVE)
def test_a_rule_leaves_other_files_alone(rule: str, case: Objects) -> None:
    assert rule not in found(written(case, "block"))


def test_every_rule_has_three_cases_of_each() -> None:
    assert all(len(caught) >= 3 <= len(left) for caught, left in CASES.values())


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("rule", "case"), CATCH)
def test_a_mend_removes_its_finding_and_writes_nothing_else(rule: str, case: Objects, style: str) -> None:
    text = written(case, style)
    findings = lint_text("manifest.yaml", text, {})
    ours = [finding for finding in findings if finding.rule == rule]
    edited = [finding for finding in ours if finding.edits]
    assert bool(edited) <= all_rules()[rule].mends
    after = mended(text, edited)
    if not edited:
        assert after == text
        return
    again = found(after)
    assert again.count(rule) == len(ours) - len(edited)
    assert set(again) <= {finding.rule for finding in findings}, "a mend brings no other finding"
    now = list(yaml.safe_load_all(after))
    for one, other in zip(yaml.safe_load_all(text), now, strict=True):
        assert _changed(one, other, ()) <= MENDED[rule]


def _changed(before: Any, after: Any, path: tuple[str, ...]) -> set[str]:
    """Keys below which something differs: the outermost that is new, or the one of a changed value."""
    if isinstance(before, dict) and isinstance(after, dict):
        assert before.keys() <= after.keys()
        new = {key for key in after if key not in before}
        kept = [_changed(before[key], after[key], (*path, key)) for key in before]
        return new.union(*kept)
    if before == after:
        return set()
    if isinstance(before, list) and isinstance(after, list):
        if len(before) == len(after):
            return set().union(
                *(_changed(one, other, path) for one, other in zip(before, after, strict=True))
            )
        assert after[len(after) - len(before) :] == before, "items are added, none is changed"
    return {path[-1]}


@pytest.mark.parametrize(("rule", "case"), [entry for entry in CATCH if all_rules()[entry[0]].mends])
def test_mends_end(rule: str, case: Objects) -> None:
    """All rules together, as `--fix` does it: after a few rounds nothing changes."""
    text = written(case, "block")
    for _ in range(4):
        text = mended(text, lint_text("manifest.yaml", text, {}))
    assert mended(text, lint_text("manifest.yaml", text, {})) == text


@pytest.mark.parametrize("rule", ["LDK012", "LDK019"])
def test_what_is_applied_together_lies_together(rule: str, tmp_path: Path) -> None:
    """The objects of a case in a file each: the finding stands where the claim is used, the target named."""
    one, other = CASES[rule][0][0]
    (tmp_path / "one.yaml").write_text(STYLES["block"](one))
    (tmp_path / "other.yaml").write_text(STYLES["block"](other))
    (tmp_path / "broken.yaml").write_text("apiVersion: v1\nkind: [\n")
    said = [finding for finding in lint_files([tmp_path], {}).findings if finding.rule == rule]
    assert [Path(finding.path).name for finding in said] == ["other.yaml"]


def test_what_an_alias_shares_is_not_edited() -> None:
    text = (
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n"
        "    - {name: a, image: 'a:1', resources: &r {requests: {nvidia.com/gpu: 1}, "
        "limits: {nvidia.com/gpu: 2}}}\n"
        "    - {name: b, image: 'a:1', resources: *r}\n"
    )
    findings = lint_text("pod.yaml", text, {})
    assert {finding.rule for finding in findings} == {"LDK002"}
    assert not any(finding.edits for finding in findings)


@pytest.mark.parametrize(
    "line",
    ["name: {{ .Values.name }}", "{{- if .Values.gpu }}", "name: '{{ include \"a.b\" . }}'", "{% if gpu %}"],
)
def test_a_template_of_helm_is_passed_over(line: str) -> None:
    text = (
        f"apiVersion: v1\nkind: Pod\nspec:\n  {line}\n  volumes: [{{name: a, emptyDir: {{medium: Memory}}}}]"
    )
    assert lint_text("templates/pod.yaml", text, {}) == []


def test_what_argo_and_kserve_fill_in_is_no_template_of_helm() -> None:
    text = STYLES["block"](KUBERNETES["LDK003"][0][0][0])
    assert found(text + "status: ['{{.Name}}', '{{inputs.parameters.a}}', '{{=sprig.upper(item)}}']\n") == [
        "LDK003"
    ]


def test_each_document_of_a_file_and_each_object_of_a_list_is_read() -> None:
    one = STYLES["block"](KUBERNETES["LDK003"][0][0][0])
    assert found(f"{one}---\n{one}---\nkind: Note\n") == ["LDK003", "LDK003"]
    listed = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [yaml.safe_load(one)]})
    assert found(listed) == ["LDK003"]


def test_a_claim_that_is_named_by_no_text_is_no_finding(tmp_path: Path) -> None:
    one, other = CASES["LDK012"][0][0]
    (tmp_path / "pods.yaml").write_text(STYLES["block"](one) + "---\n" + STYLES["block"](other))
    assert "LDK012" in {finding.rule for finding in lint_files([tmp_path], {}).findings}
    text = (tmp_path / "pods.yaml").read_text()
    for odd in ("[]", "{}", "1"):
        (tmp_path / "pods.yaml").write_text(re.sub(r"claimName: \S+", f"claimName: {odd}", text))
        assert "LDK012" not in {finding.rule for finding in lint_files([tmp_path], {}).findings}
