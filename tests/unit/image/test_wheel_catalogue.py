"""The wheel catalogue, W37 to W50: names, modes, RECORD, metadata and entry points."""

from __future__ import annotations

import pytest
import test_zip_catalogue
import wheels
from wheels import (
    INFO,
    METADATA,
    WHEEL,
    Case,
    Entry,
    MemorySource,
    archive,
    members,
    record_rows,
    record_text,
)

from lading.errors import WheelRefused
from lading.image.wheel.install import Prefix, verify_wheel
from lading.image.wheel.rules import RULES, WAIVABLE

PREFIX = Prefix(python_version="3.11")
BIDI = "\u202e"


def named(*names: str | bytes, flags: int = 0) -> bytes:
    """A wheel whose RECORD is right and which also holds members of these names."""
    extra = [Entry(name=name, data=b"x = 1\n", flags=flags) for name in names]
    return archive(members(extra=extra))


def moded(mode: int, name: str = "demo/tool.py") -> bytes:
    return archive(members(extra=[Entry(name=name, data=b"demo\n", mode=mode)]))


def recorded(rows: list[list[str]]) -> bytes:
    """A valid wheel with this RECORD."""
    return wheels.wheel(record=record_text(rows))


ROWS = [*record_rows(members()[:-1]), [f"{INFO}/RECORD", "", ""]]
PATH, HASH, SIZE = ROWS[0]


def row_changed(*row: str) -> bytes:
    return recorded([list(row), *ROWS[1:]])


def info(name: str, data: bytes) -> bytes:
    """A valid wheel with one more file in its .dist-info folder."""
    return wheels.wheel({"demo/__init__.py": b"", f"{INFO}/{name}": data})


def script(name: str, value: str = "demo:main") -> bytes:
    return info("entry_points.txt", f"[console_scripts]\n{name} = {value}\n".encode())


def with_metadata(old: bytes, new: bytes) -> bytes:
    return wheels.wheel(metadata=METADATA.replace(old, new))


def with_wheel_file(old: bytes, new: bytes) -> bytes:
    return wheels.wheel(wheel=WHEEL.replace(old, new))


def data(path: str, content: bytes = b"x") -> bytes:
    return wheels.wheel({"demo/__init__.py": b"", f"demo-1.0.data/{path}": content})


CASES = [
    Case(id="W37-parent-folder", raw=named("../evil.py"), rule="name-not-normal"),
    Case(id="W37-parent-folder-inside", raw=named("demo/../../evil.py"), rule="name-not-normal"),
    Case(id="W37-parent-folder-last", raw=named("demo/.."), rule="name-not-normal"),
    Case(id="W37-dot", raw=named("./evil.py"), rule="name-not-normal"),
    Case(id="W37-empty-component", raw=named("demo//evil.py"), rule="name-not-normal"),
    Case(id="W37-empty-name", raw=named(""), rule="name-not-normal"),
    Case(
        id="W37-parent-folder-entry",
        raw=archive([Entry(name="../", method=0, mode=0o40755), *members()]),
        rule="name-not-normal",
    ),
    Case(id="W38-absolute", raw=named("/etc/passwd"), rule="name-absolute"),
    Case(id="W39-drive", raw=named("C:/x.py"), rule="name-absolute"),
    Case(id="W39-drive-backslash", raw=named("C:\\x.py"), rule="name-backslash"),
    Case(id="W39-backslash", raw=named("demo\\x.py"), rule="name-backslash"),
    Case(id="W40-sibling-prefix", raw=named("../site-packages-evil/x.py"), rule="name-not-normal"),
    Case(id="W41-nul", raw=named("demo/a\0.py"), rule="name-character"),
    Case(id="W41-line-break", raw=named("demo/a\n.py"), rule="name-character"),
    Case(id="W41-carriage-return", raw=named("demo/a\r.py"), rule="name-character"),
    Case(id="W41-delete", raw=named("demo/a\x7f.py"), rule="name-character"),
    Case(id="W41-c1-control", raw=named("demo/a\x85.py"), rule="name-character"),
    Case(id="W41-bidi", raw=named(f"demo/{BIDI}yp.exe"), rule="name-character"),
    Case(id="W41-not-utf8", raw=named(b"demo/\xff.py", flags=0x800), rule="name-encoding"),
    Case(
        id="W41-utf8-not-marked",
        raw=archive(
            members(
                extra=[Entry(name="demo/ü.py", data=b"", local={"flags": 0}, central={"flags": 0})],
            )
        ),
        rule="name-encoding",
    ),
    Case(id="W41-component-too-long", raw=named("demo/" + "a" * 256), rule="name-too-long"),
    Case(id="W41-name-too-long", raw=named("demo/" + "a/" * 600 + "a"), rule="name-too-long"),
    Case(id="W42-case", raw=named("demo/A.py", "demo/a.py"), rule="zip-name-collision", lenient=None),
    Case(
        id="W42-unicode-form",
        raw=named("demo/\u00e9.py", "demo/e\u0301.py"),
        rule="zip-name-collision",
        lenient=None,
    ),
    Case(id="W42-case-folder", raw=named("demo/A", "demo/a/x.py"), rule="zip-name-collision", lenient=None),
    Case(id="W43-file-and-folder", raw=named("demo/x", "demo/x/y.py"), rule="zip-file-and-directory"),
    Case(
        id="W43-file-and-folder-entry",
        raw=archive([Entry(name="demo/x/", method=0, mode=0o40755), *members(extra=[Entry(name="demo/x")])]),
        rule="zip-file-and-directory",
    ),
    Case(id="W44-symlink", raw=moded(0o120777), rule="member-kind"),
    Case(id="W45-character-device", raw=moded(0o020644), rule="member-kind"),
    Case(id="W45-block-device", raw=moded(0o060644), rule="member-kind"),
    Case(id="W45-fifo", raw=moded(0o010644), rule="member-kind"),
    Case(id="W45-socket", raw=moded(0o140644), rule="member-kind"),
    Case(id="W45-folder-by-mode", raw=moded(0o040755), rule="member-kind"),
    Case(
        id="W45-folder-with-content",
        raw=archive([Entry(name="demo/x/", data=b"x", method=0), *members()]),
        rule="zip-directory-member",
    ),
    Case(id="W45-set-user-id", raw=moded(0o104755), rule=None, warns="mode-special-bits"),
    Case(id="W47-record-missing", raw=archive(members()[:-1]), rule="record-missing"),
    Case(id="W47-file-unlisted", raw=recorded(ROWS[1:]), rule="record-unlisted"),
    Case(
        id="W47-file-absent",
        raw=recorded([["demo/x.py", HASH, SIZE], *ROWS]),
        rule="record-absent",
        lenient=None,
    ),
    Case(id="W47-wrong-sha256", raw=row_changed(PATH, "sha256=" + "A" * 43, SIZE), rule="record-hash"),
    Case(id="W47-md5-only", raw=row_changed(PATH, "md5=" + "A" * 22, SIZE), rule="record-hash-algorithm"),
    Case(id="W47-no-hash", raw=row_changed(PATH, "", SIZE), rule="record-no-hash"),
    Case(id="W47-damaged-hash", raw=row_changed(PATH, "sha256=" + "!" * 43, SIZE), rule="record-syntax"),
    Case(id="W47-short-hash", raw=row_changed(PATH, HASH[:-1], SIZE), rule="record-syntax"),
    Case(id="W47-wrong-size", raw=row_changed(PATH, HASH, "1"), rule="record-size", lenient=None),
    Case(id="W47-negative-size", raw=row_changed(PATH, HASH, "-1"), rule="record-syntax"),
    Case(id="W47-no-size", raw=row_changed(PATH, HASH, ""), rule=None),
    Case(id="W47-duplicate-row", raw=recorded([ROWS[0], *ROWS]), rule="record-duplicate", lenient=None),
    Case(id="W47-duplicate-row-differs", raw=recorded([[PATH, HASH, "1"], *ROWS]), rule="record-duplicate"),
    Case(id="W47-two-columns", raw=recorded([[PATH, HASH], *ROWS[1:]]), rule="record-syntax"),
    Case(id="W47-open-quote", raw=wheels.wheel(record=b'"demo/__init__.py,x\n'), rule="record-syntax"),
    Case(id="W47-not-utf8", raw=wheels.wheel(record=b"\xff,,\n"), rule="record-syntax"),
    Case(id="W47-without-its-own-row", raw=recorded(ROWS[:-1]), rule=None),
    Case(id="W47-row-for-a-folder", raw=recorded([["demo/", "", ""], *ROWS]), rule=None),
    Case(id="W48-metadata-name", raw=with_metadata(b"demo", b"other"), rule="metadata-name"),
    Case(id="W48-metadata-name-spelt-otherwise", raw=with_metadata(b"Name: demo", b"Name: Demo"), rule=None),
    Case(id="W48-metadata-version", raw=with_metadata(b"1.0", b"1.1"), rule="metadata-version"),
    Case(id="W48-metadata-version-spelt-otherwise", raw=with_metadata(b"1.0", b"1.0.0"), rule=None),
    Case(
        id="W48-metadata-two-names",
        raw=with_metadata(b"Name: demo", b"Name: demo\nName: x"),
        rule="metadata-syntax",
    ),
    Case(id="W48-metadata-no-name", raw=with_metadata(b"Name: demo\n", b""), rule="metadata-syntax"),
    Case(id="W48-metadata-not-utf8", raw=with_metadata(b"demo", b"\xff"), rule="metadata-syntax"),
    Case(
        id="W48-local-version-left-out",
        raw=wheels.wheel(info="demo-1.0+cpu.dist-info"),
        filename="demo-1.0+cpu-py3-none-any.whl",
        rule=None,
        warns="metadata-local-version",
    ),
    Case(
        id="W48-other-file-name",
        raw=wheels.wheel(),
        filename="other-1.0-py3-none-any.whl",
        rule="dist-info-name",
        lenient="metadata-name",
    ),
    Case(
        id="W48-other-folder-name",
        raw=wheels.wheel(info="demo_fork-1.0.dist-info"),
        rule="dist-info-name",
        lenient=None,
    ),
    Case(id="W48-no-wheel-file-name", raw=wheels.wheel(), filename="demo.zip", rule="filename-invalid"),
    Case(
        id="W48-two-dist-info-folders",
        raw=wheels.wheel({"demo/__init__.py": b"", "evil-1.0.dist-info/METADATA": b""}),
        rule="dist-info-count",
    ),
    Case(id="W48-no-dist-info-folder", raw=archive(members()[:1]), rule="dist-info-count"),
    Case(
        id="W48-no-metadata",
        raw=archive(
            [
                e
                for e in members(record=record_text([ROWS[0], *ROWS[2:]]))
                if not str(e.name).endswith("METADATA")
            ]
        ),
        rule="metadata-missing",
    ),
    Case(
        id="W48-tag",
        raw=with_wheel_file(b"py3-none-any", b"cp311-cp311-win32"),
        rule="wheel-tags",
        lenient=None,
    ),
    Case(
        id="W48-tag-missing",
        raw=with_wheel_file(b"Tag: py3-none-any\n", b""),
        rule="wheel-tags",
        lenient=None,
    ),
    Case(id="W48-tag-no-tag", raw=with_wheel_file(b"py3-none-any", b"py3"), rule="metadata-syntax"),
    Case(
        id="W48-tag-other-linux-baseline",
        raw=with_wheel_file(b"py3-none-any", b"py3-none-linux_x86_64"),
        filename="demo-1.0-py3-none-manylinux_2_28_x86_64.whl",
        rule=None,
        warns="wheel-tags-relabelled",
    ),
    Case(
        id="W48-tag-other-architecture",
        raw=with_wheel_file(b"py3-none-any", b"py3-none-linux_aarch64"),
        filename="demo-1.0-py3-none-manylinux_2_28_x86_64.whl",
        rule="wheel-tags",
        lenient=None,
    ),
    Case(
        id="W48-wheel-version-2", raw=with_wheel_file(b"Version: 1.0", b"Version: 2.0"), rule="wheel-version"
    ),
    Case(
        id="W48-purelib-with-extension",
        raw=wheels.wheel({"demo/fast.so": b"\x7fELF"}),
        rule=None,
        warns="purelib-with-extension",
    ),
    Case(id="W49-script-name-path", raw=script("../../bin/x"), rule="script-name"),
    Case(id="W49-script-name-absolute", raw=script("/usr/bin/x"), rule="script-name"),
    Case(id="W49-script-name-line-break", raw=script("a\nb"), rule="entry-points-syntax"),
    Case(id="W49-script-name-escape", raw=script("a\x1b[2J"), rule="script-name"),
    Case(id="W49-script-name-hidden", raw=script(".profile"), rule="script-name"),
    *(
        Case(id=f"W49-script-name-{name}", raw=script(name), rule="script-name")
        for name in ("python", "python3", "python3.11", "pythonw", "Python", "sh", "bash", "env")
    ),
    Case(id="W49-reference-without-function", raw=script("x", "demo"), rule="entry-points-syntax"),
    Case(id="W49-reference-code", raw=script("x", "demo:main();evil"), rule="entry-points-syntax"),
    Case(
        id="W49-reference-line-break", raw=script("x", "demo:main\n import evil"), rule="entry-points-syntax"
    ),
    Case(
        id="W49-entry-points-no-ini",
        raw=info("entry_points.txt", b"console_scripts]"),
        rule="entry-points-syntax",
    ),
    Case(
        id="W49-script-twice",
        raw=info("entry_points.txt", b"[console_scripts]\nx=a:b\n[gui_scripts]\nx=c:d\n"),
        rule="entry-points-syntax",
    ),
    Case(id="W49-data-scripts-parent", raw=data("scripts/../../x"), rule="name-not-normal"),
    Case(id="W49-data-scripts-nested", raw=data("scripts/a/b"), rule="script-nested"),
    Case(id="W49-data-scripts-python", raw=data("scripts/python3"), rule="install-protected"),
    Case(id="W49-data-data-python", raw=data("data/bin/python"), rule="install-protected"),
    Case(
        id="W49-data-purelib-dist-info",
        raw=data("purelib/other-1.0.dist-info/METADATA"),
        rule="install-protected",
    ),
    Case(
        id="W49-data-data-dist-info",
        raw=data("data/lib/python3.11/site-packages/other-1.0.dist-info/METADATA"),
        rule="install-protected",
    ),
    Case(id="W49-data-data-pyvenv", raw=data("data/pyvenv.cfg"), rule="install-protected"),
    Case(
        id="W49-data-scripts-huge",
        raw=data("scripts/x", b"#!python\n" + bytes(17 << 20)),
        rule="member-too-large",
    ),
    Case(id="W49-data-unknown-scheme", raw=data("stdlib/os.py"), rule="data-scheme"),
    Case(id="W49-data-no-scheme", raw=data("x.txt"), rule="data-scheme"),
    Case(
        id="W49-data-folder-of-another-name",
        raw=wheels.wheel({"evil-1.0.data/scripts/x": b""}),
        rule="data-directory-name",
    ),
    Case(id="W49-data-over-own-file", raw=data("purelib/demo/__init__.py"), rule="install-collision"),
    Case(
        id="W49-data-folder-over-own-file", raw=data("platlib/demo/__init__.py/x"), rule="install-collision"
    ),
    Case(
        id="W49-record-signature",
        raw=wheels.wheel({"demo/__init__.py": b"", f"{INFO}/RECORD.jws": b"{}"}),
        rule=None,
        warns="signature-dropped",
    ),
    Case(
        id="W49-record-signature-unlisted",
        raw=archive([*members(), Entry(name=f"{INFO}/RECORD.p7s", data=b"x")]),
        rule=None,
        warns="signature-dropped",
    ),
    Case(
        id="W50-shadows-standard-library",
        raw=wheels.wheel({"json.py": b""}),
        rule=None,
        warns="shadows-standard-library",
    ),
    Case(
        id="W50-sitecustomize", raw=wheels.wheel({"sitecustomize.py": b""}), rule=None, warns="startup-code"
    ),
    Case(
        id="W50-usercustomize",
        raw=wheels.wheel({"usercustomize/__init__.py": b""}),
        rule=None,
        warns="startup-code",
    ),
    Case(
        id="W50-path-file",
        raw=wheels.wheel({"x.pth": b"import os; os.system('id')\n"}),
        rule=None,
        warns="startup-code",
    ),
    Case(
        id="W50-setuptools",
        raw=wheels.wheel({"distutils-precedence.pth": b"import os; os.environ.get('A')\n"}),
        rule=None,
    ),
    Case(id="W50-manylinux", raw=wheels.wheel({"_manylinux.py": b""}), rule=None, warns="platform-override"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_strict_reading_gives_the_verdict_of_the_catalogue(case: Case) -> None:
    try:
        install = verify_wheel(MemorySource(case.raw), case.filename, PREFIX)
    except WheelRefused as refusal:
        assert refusal.rule == case.rule
        assert refusal.hints
    else:
        assert case.rule is None
        given = {warning.rpartition("[")[2].rstrip("]") for warning in install.warnings}
        assert given == ({case.warns} if case.warns else set())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_lenient_reading_names_the_rule_that_it_waived(case: Case) -> None:
    try:
        install = verify_wheel(MemorySource(case.raw), case.filename, PREFIX, lenient=True)
    except WheelRefused as refusal:
        assert refusal.rule == case.lenient_rule
    else:
        assert case.lenient_rule is None
        if case.rule is not None:
            assert any("waived: " in text and text.endswith(f"[{case.rule}]") for text in install.warnings)


def test_every_rule_of_the_table_has_a_case() -> None:
    cases = [*CASES, *test_zip_catalogue.CASES]
    tried = {rule for case in cases for rule in (case.rule, case.lenient_rule, case.warns) if rule}
    assert tried == set(RULES)


def test_the_waivable_rules_are_those_that_lenient_reading_waives() -> None:
    cases = [*CASES, *test_zip_catalogue.CASES]
    assert {case.rule for case in cases if case.rule and case.lenient_rule is None} == WAIVABLE


def test_every_case_of_the_catalogue_is_here() -> None:
    tried = {case.id.partition("-")[0] for case in [*CASES, *test_zip_catalogue.CASES]}
    assert tried == {f"W{number:02}" for number in range(51)}


def test_a_refusal_says_wheel_rule_member_and_next_step() -> None:
    with pytest.raises(WheelRefused) as caught:
        verify_wheel(MemorySource(row_changed(PATH, HASH, "1")), wheels.FILENAME, PREFIX)
    text = str(caught.value)
    assert wheels.FILENAME in text
    assert PATH in text
    assert "[record-size]" in text
    assert caught.value.hints[0] == "accept it as it is: --lenient-wheel demo"
