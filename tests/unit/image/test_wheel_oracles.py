"""Who else accepts the catalogue's wheels: `zipfile`, `unzip -t` and uv.

Two laws: what lading accepts, all of them read; what lading refuses and one of them reads is in the table.
Written down with Python 3.11.7, unzip 6.00 and uv 0.13.8; a tool may become stricter without a change here.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import test_wheel_catalogue
import test_zip_catalogue
from wheels import Case

CASES = [*test_zip_catalogue.CASES, *test_wheel_catalogue.CASES]

READ_ELSEWHERE = """
W01-duplicate-name-in-directory: zipfile unzip uv
W02-duplicate-name-in-local-headers: zipfile unzip uv
W04-local-compressed-size-differs: zipfile
W05-local-size-differs: zipfile unzip
W06-member-missing-in-directory: zipfile unzip uv
W08-two-archives-offsets-adjusted: zipfile unzip uv
W08-two-archives: zipfile
W09-two-archives-first-footer-far-away: zipfile
W10-second-end-points-at-first-archive: zipfile
W11-archive-in-comment-offsets-adjusted: zipfile unzip uv
W11-archive-in-comment: zipfile
W11-signature-in-comment: zipfile unzip
W12-trailing-byte: zipfile unzip
W13-trailing-4096-nul: zipfile unzip uv
W14-trailing-4097-nul: zipfile unzip
W15-prefix-offsets-adjusted: zipfile unzip uv
W15-prefix: zipfile
W16-gap-before-directory: zipfile unzip uv
W16-gap-between-members: zipfile unzip uv
W17-count-on-disk-differs: zipfile unzip
W17-count-too-big: zipfile
W17-count-too-small: zipfile
W20-locator-to-wrong-offset: zipfile unzip
W22-zip64-extensible-data: unzip uv
W23-duplicate-zip64-field-central: zipfile unzip
W23-duplicate-zip64-field-local: zipfile unzip
W23-superfluous-zip64-field: zipfile unzip
W24-extra-field-cut-off-central: unzip
W24-extra-field-cut-off-local: zipfile unzip uv
W24-unicode-path-central: zipfile
W24-unicode-path-local: zipfile uv
W24-unicode-path-twice: zipfile unzip
W25-entry-comment: zipfile unzip uv
W26-descriptor-missing: zipfile uv
W27-descriptor-wrong-crc: zipfile unzip uv
W28-descriptor-wrong-size: zipfile unzip uv
W29-descriptor-without-signature: zipfile unzip uv
W29-descriptor: zipfile unzip uv
W30-size-reaches-into-directory: zipfile unzip
W31-size-overflow: zipfile
W32-strong-encryption: unzip
W34-junk-after-stream: zipfile unzip uv
W34-stream-without-end: zipfile unzip
W36-wrong-size: unzip
W37-dot: zipfile unzip uv
W37-empty-component: zipfile unzip uv
W37-empty-name: zipfile unzip
W37-parent-folder-entry: zipfile unzip uv
W37-parent-folder-inside: zipfile unzip uv
W37-parent-folder-last: zipfile unzip
W37-parent-folder: zipfile unzip uv
W38-absolute: zipfile unzip uv
W39-backslash: zipfile unzip uv
W39-drive-backslash: zipfile unzip uv
W39-drive: zipfile unzip uv
W40-sibling-prefix: zipfile unzip uv
W41-bidi: zipfile unzip
W41-c1-control: zipfile unzip
W41-carriage-return: zipfile unzip
W41-component-too-long: zipfile unzip
W41-delete: zipfile unzip
W41-line-break: zipfile unzip
W41-name-too-long: zipfile unzip uv
W41-not-utf8: unzip
W41-nul: zipfile unzip
W41-utf8-not-marked: zipfile unzip
W42-case-folder: zipfile unzip uv
W42-case: zipfile unzip uv
W42-unicode-form: zipfile unzip uv
W43-file-and-folder-entry: zipfile unzip
W43-file-and-folder: zipfile unzip
W44-symlink: zipfile unzip uv
W45-block-device: zipfile unzip uv
W45-character-device: zipfile unzip uv
W45-fifo: zipfile unzip uv
W45-folder-by-mode: zipfile unzip uv
W45-folder-with-content: zipfile unzip uv
W45-socket: zipfile unzip uv
W47-damaged-hash: zipfile unzip uv
W47-duplicate-row-differs: zipfile unzip uv
W47-duplicate-row: zipfile unzip uv
W47-file-absent: zipfile unzip uv
W47-file-unlisted: zipfile unzip uv
W47-md5-only: zipfile unzip uv
W47-negative-size: zipfile unzip
W47-no-hash: zipfile unzip uv
W47-not-utf8: zipfile unzip
W47-open-quote: zipfile unzip
W47-record-missing: zipfile unzip
W47-short-hash: zipfile unzip uv
W47-two-columns: zipfile unzip
W47-wrong-sha256: zipfile unzip uv
W47-wrong-size: zipfile unzip uv
W48-metadata-name: zipfile unzip
W48-metadata-no-name: zipfile unzip
W48-metadata-not-utf8: zipfile unzip
W48-metadata-two-names: zipfile unzip uv
W48-metadata-version: zipfile unzip
W48-no-dist-info-folder: zipfile unzip
W48-no-metadata: zipfile unzip
W48-no-wheel-file-name: zipfile unzip
W48-other-file-name: zipfile unzip
W48-other-folder-name: zipfile unzip uv
W48-tag-missing: zipfile unzip uv
W48-tag-no-tag: zipfile unzip uv
W48-tag-other-architecture: zipfile unzip uv
W48-tag: zipfile unzip uv
W48-two-dist-info-folders: zipfile unzip
W48-wheel-version-2: zipfile unzip
W49-data-data-dist-info: zipfile unzip uv
W49-data-data-python: zipfile unzip
W49-data-data-pyvenv: zipfile unzip uv
W49-data-folder-of-another-name: zipfile unzip uv
W49-data-folder-over-own-file: zipfile unzip
W49-data-no-scheme: zipfile unzip
W49-data-over-own-file: zipfile unzip uv
W49-data-purelib-dist-info: zipfile unzip uv
W49-data-scripts-huge: zipfile unzip uv
W49-data-scripts-nested: zipfile unzip
W49-data-scripts-parent: zipfile unzip uv
W49-data-scripts-python: zipfile unzip
W49-data-unknown-scheme: zipfile unzip
W49-entry-points-no-ini: zipfile unzip
W49-reference-code: zipfile unzip
W49-reference-line-break: zipfile unzip
W49-reference-without-function: zipfile unzip
W49-script-name-Python: zipfile unzip
W49-script-name-absolute: zipfile unzip
W49-script-name-bash: zipfile unzip uv
W49-script-name-env: zipfile unzip uv
W49-script-name-escape: zipfile unzip uv
W49-script-name-hidden: zipfile unzip uv
W49-script-name-line-break: zipfile unzip
W49-script-name-path: zipfile unzip
W49-script-name-python3.11: zipfile unzip
W49-script-name-python3: zipfile unzip
W49-script-name-python: zipfile unzip
W49-script-name-pythonw: zipfile unzip
W49-script-name-sh: zipfile unzip uv
W49-script-twice: zipfile unzip uv
"""


def tools_that_read(case_id: str) -> set[str]:
    """The tools that the table names for a case that lading refuses."""
    table = dict(line.split(": ") for line in READ_ELSEWHERE.strip().splitlines())
    return set(table.get(case_id, "").split())


def accepted_by_zipfile(case: Case) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(case.raw)) as file:
            return bool(file.namelist()) and file.testzip() is None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, OSError, EOFError, ValueError):
        return False


def accepted_by_unzip(case: Case, folder: Path) -> bool:
    path = folder / case.filename
    path.write_bytes(case.raw)
    command = [str(shutil.which("unzip")), "-tqq", str(path)]
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0


def accepted_by_uv(case: Case, folder: Path) -> bool:
    path = folder / case.filename
    path.write_bytes(case.raw)
    command = [
        str(Path(sys.executable).with_name("uv")),
        "--offline",
        "--no-cache",
        "--quiet",
        "pip",
        "install",
    ]
    command += ["--no-deps", "--target", str(folder / "site"), "--python", sys.executable, str(path)]
    environment = {**os.environ, "UV_NO_CONFIG": "1"}
    return subprocess.run(command, capture_output=True, env=environment).returncode == 0


def _differences(tool: str, verdicts: list[tuple[Case, bool]]) -> list[str]:
    """Cases where the tool's verdict breaks one of the two laws."""
    return [
        case.id
        for case, accepted in verdicts
        if (case.rule is None and not accepted)
        or (case.rule is not None and accepted and tool not in tools_that_read(case.id))
    ]


def test_the_table_names_only_refused_cases() -> None:
    refused = {case.id for case in CASES if case.rule is not None}
    assert {line.split(": ")[0] for line in READ_ELSEWHERE.strip().splitlines()} <= refused


def test_zipfile_reads_what_is_accepted() -> None:
    assert _differences("zipfile", [(case, accepted_by_zipfile(case)) for case in CASES]) == []


@pytest.mark.slow
def test_uv_installs_what_is_accepted(tmp_path: Path) -> None:
    def verdict(case: Case) -> tuple[Case, bool]:
        folder = tmp_path / case.id
        folder.mkdir()
        return case, accepted_by_uv(case, folder)

    with ThreadPoolExecutor(2) as pool:
        assert _differences("uv", list(pool.map(verdict, CASES))) == []


@pytest.mark.slow
def test_unzip_reads_what_is_accepted(tmp_path: Path) -> None:
    if shutil.which("unzip") is None:
        pytest.skip("unzip is not installed")
    assert _differences("unzip", [(case, accepted_by_unzip(case, tmp_path)) for case in CASES]) == []
