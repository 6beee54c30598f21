"""The build context: all code, nothing else at the top; as Docker reads patterns."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from lading.convert.exporting.ignore import dockerignore
from lading.project.files import NEVER, USUALLY_NOT
from lading.project.ignore import decide, gitignore_patterns

names = st.sampled_from(["a.py", "b.log", "c", "data", "docs", "pkg", "README.md", "x[1]", ".git", "*", "d"])


def is_tree(paths: list[str]) -> bool:
    """No file is a folder of another."""
    return not any(other.startswith(f"{path}/") for path in paths for other in paths)


paths = st.lists(names, min_size=1, max_size=3).map("/".join)
trees = st.lists(paths, unique=True, max_size=12).filter(is_tree)
rules = st.lists(
    st.sampled_from(
        ["*.log", "!a.py", "data/", "/c", "pkg/**/d", "!b.log", "*", "\\*", "docs", "!docs/a.py"]
    ),
    max_size=4,
).map("\n".join)


def docker_sends(text: str, path: str) -> bool:
    """Docker's rule (the reference of Dockerfiles, ".dockerignore file"): the last line that matches the path
    or a folder above it decides; `**` stands for any number of folders."""
    sent = True
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        back = line.startswith("!")
        expression = glob(line[back:].strip("/"))
        parts = path.split("/")
        if any(expression.fullmatch("/".join(parts[:n])) for n in range(1, len(parts) + 1)):
            sent = back
    return sent


def glob(pattern: str) -> re.Pattern[str]:
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            parts.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            parts.append(".*")
            at += 2
        elif pattern[at] == "*":
            parts.append("[^/]*")
            at += 1
        elif pattern[at] == "\\" and at + 1 < len(pattern):
            parts.append(re.escape(pattern[at + 1]))
            at += 2
        else:
            parts.append(re.escape(pattern[at]))
            at += 1
    return re.compile("".join(parts))


def is_code(path: str, text: str) -> bool:
    """As lading walks, but for negations, which look at no folder above."""
    own = gitignore_patterns(text)
    parts = path.split("/")
    for count in range(1, len(parts) + 1):
        part, is_folder = "/".join(parts[:count]), count < len(parts)
        verdict = decide(own, part, is_folder)
        if decide(NEVER, part, is_folder) or (
            decide(USUALLY_NOT, part, is_folder) if verdict is None else verdict
        ):
            return False
    return True


@given(trees, rules)
def test_all_code_is_sent_and_no_other_name_at_the_top(found: list[str], text: str) -> None:
    code = [path for path in found if is_code(path, text)]
    said = dockerignore(
        code, ["assets/one.txt"], rules=gitignore_patterns(text), excluded=["out"], folder="docker/train"
    )
    assert [path for path in code if not docker_sends(said, path)] == []
    assert docker_sends(said, "docker/train/Dockerfile")
    assert docker_sends(said, "assets/one.txt")
    tops = {path.partition("/")[0] for path in code}
    others = [path for path in found if path.partition("/")[0] not in tops]
    assert [
        path for path in [*others, ".env", "out/model.onnx", "assets/two"] if docker_sends(said, path)
    ] == []


@given(trees, rules.filter(lambda text: "!" not in text))
def test_what_rules_leave_out_inside_is_not_sent(found: list[str], text: str) -> None:
    code = [path for path in found if is_code(path, text)]
    said = dockerignore(code, [], rules=gitignore_patterns(text), excluded=[], folder="docker/train")
    for path in set(found) - set(code):
        assert not docker_sends(said, path), said
