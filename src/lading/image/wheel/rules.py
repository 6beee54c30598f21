"""Every rule a wheel can break, in one table, and the judge who applies it.

A rule id is stable: it stands in error messages, in warnings and in documentation generated from RULES.
Pure. Must not know how archives are read.
"""

from __future__ import annotations

from typing import NoReturn

from lading.errors import WheelRefused

RULES: dict[str, str] = {
    # the archive (APPNOTE.TXT 6.3.10); each is a place where two readers could see two different wheels
    "zip-not-an-archive": "the file does not end with one end-of-central-directory record",
    "zip-trailing-data": "bytes follow the end of the archive",
    "zip-prefix": "bytes precede the first member",
    "zip-comment": "the archive comment holds ZIP signatures: a second archive may hide in it",
    "zip-directory-offset": "the central directory is not where the end record says, or not as long",
    "zip-directory-count": "the central directory holds another number of members than the end record says",
    "zip-directory-entry": "the central directory is damaged",
    "zip-multi-disk": "the archive is one part of several",
    "zip64-locator": "the ZIP64 end record is missing, misplaced or contradicts the ordinary one",
    "zip64-extensible-data": "the ZIP64 end record carries extra data",
    "zip64-field": "a ZIP64 size field is missing, duplicate, oversized or superfluous",
    "zip-too-many-members": "more members than any real wheel has",
    "zip-duplicate-name": "two members have one name",
    "zip-name-collision": "two names are one on file systems that fold case or normalise Unicode",
    "zip-file-and-directory": "a name is a file and a folder at once",
    "zip-entry-comment": "a member carries a comment",
    "zip-unicode-path": "an Info-ZIP Unicode Path field is duplicate, damaged or names another file",
    "zip-extra-field": "a member's extra fields are damaged",
    "zip-encrypted": "a member is encrypted",
    "zip-flags": "a member uses features wheels may not use",
    "zip-method": "a member is neither stored nor deflated",
    "zip-data-descriptor": "a member's sizes stand after its data; a streaming reader may see other members",
    "zip-descriptor-mismatch": "the data descriptor is missing or contradicts the central directory",
    "zip-overlap": "members overlap each other or the central directory",
    "zip-gap": "bytes between members belong to no member",
    "zip-local-header": "a member has no local header where the central directory points",
    "zip-local-mismatch": "a member's local header contradicts the central directory",
    "zip-stored-size": "a stored member has two different sizes",
    "zip-directory-member": "a folder entry carries content",
    "zip-bomb": "the archive unpacks to an implausible multiple of its size",
    "zip-deflate": "a member's compressed data is damaged or shorter than declared",
    "zip-deflate-trailing": "bytes follow the end of a member's compressed data",
    "zip-size": "a member inflates to another size than declared",
    "zip-crc": "a member's CRC-32 is wrong",
    # names and modes
    "name-encoding": "a name is not UTF-8, or not marked as such",
    "name-character": "a name holds control, bidirectional or NUL characters",
    "name-backslash": "a name holds a backslash",
    "name-absolute": "a name is absolute or names a drive",
    "name-not-normal": "a name holds empty, `.` or `..` components",
    "name-too-long": "a name is longer than file systems take",
    "member-kind": "a member is a link, device or other special file",
    "member-too-large": "a file that must be read whole is implausibly large",
    # RECORD (PEP 376, PEP 427)
    "record-missing": "there is no RECORD",
    "record-syntax": "RECORD is not UTF-8 CSV with three columns",
    "record-duplicate": "RECORD lists a file twice",
    "record-unlisted": "a file of the archive is not in RECORD",
    "record-absent": "RECORD lists a file that the archive lacks",
    "record-no-hash": "a row of RECORD has no hash",
    "record-hash-algorithm": "a row of RECORD has no SHA-256 hash",
    "record-hash": "a file's SHA-256 is not the one in RECORD",
    "record-size": "a file's size is not the one in RECORD",
    # metadata
    "filename-invalid": "the file name is not that of a wheel",
    "dist-info-count": "there is not exactly one .dist-info folder",
    "dist-info-name": "the .dist-info folder is not named as the wheel is",
    "metadata-missing": "METADATA or WHEEL is missing",
    "metadata-syntax": "METADATA or WHEEL cannot be read, or repeats a field that must be single",
    "metadata-name": "METADATA names another project than the file name",
    "metadata-version": "METADATA gives another version than the file name",
    "wheel-version": "the wheel format is not version 1",
    "wheel-tags": "the tags in WHEEL are not those of the file name",
    # installing
    "data-directory-name": "a top-level .data folder has another name than the .dist-info folder",
    "data-scheme": "the .data folder holds something other than the five known schemes",
    "script-nested": "a script lies in a subfolder",
    "script-name": "a script's name is a path, a reserved command or otherwise unsafe",
    "entry-points-syntax": "entry_points.txt cannot be read, or an entry is no object reference",
    "install-collision": "two files of the wheel would be installed at one path",
    "install-protected": "a file would replace part of the virtual environment itself",
    # warnings only
    "mode-special-bits": "set-user-id, set-group-id or sticky bits were dropped",
    "signature-dropped": "the wheel's signature is not installed: it signs a RECORD that is rewritten",
    "wheel-tags-relabelled": "the file name gives another Linux baseline than WHEEL, same architecture",
    "metadata-local-version": "METADATA leaves out the local version of the file name",
    "purelib-with-extension": "the wheel calls itself pure but holds shared objects",
    "shadows-standard-library": "a top-level module has the name of a standard library module",
    "startup-code": "the wheel brings code that runs at every start of the interpreter",
    "platform-override": "the wheel changes which other wheels installers accept",
}

WAIVABLE = frozenset(
    {
        "zip-data-descriptor",
        "zip-entry-comment",
        "zip-name-collision",
        "zip64-field",
        "record-absent",
        "record-duplicate",
        "record-size",
        "wheel-tags",
        "dist-info-name",
    }
)
"""What `--lenient-wheel NAME` lets pass with a warning: faults that leave no doubt which bytes are meant."""

_NEXT_STEP = "pin another version of it, or rebuild it"


class Judge:
    """Applies the rules to one wheel and keeps what was let pass. Not for several threads."""

    def __init__(self, filename: str, *, lenient: bool = False) -> None:
        self.filename = filename
        self.lenient = lenient
        self.warnings: list[str] = []

    def refuse(self, rule: str, detail: str, *, member: str | None = None) -> NoReturn:
        """Raise WheelRefused; nothing waives this."""
        raise WheelRefused(self.filename, rule, detail, member=member, hints=(_NEXT_STEP,))

    def object_to(self, rule: str, detail: str, *, member: str | None = None) -> None:
        """Refuse, or warn when the wheel is read leniently. Only for rules that are WAIVABLE."""
        if not self.lenient:
            lenient = f"accept it as it is: --lenient-wheel {self.filename.partition('-')[0]}"
            raise WheelRefused(self.filename, rule, detail, member=member, hints=(lenient, _NEXT_STEP))
        self.warn(rule, f"waived: {detail}", member=member)

    def warn(self, rule: str, detail: str, *, member: str | None = None) -> None:
        where = f", member {member!r}" if member is not None else ""
        self.warnings.append(f"wheel {self.filename}{where}: {detail} [{rule}]")
