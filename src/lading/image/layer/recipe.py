"""The byte format of layers, as a value. Its digest is part of every layer key.

Any change here that could alter one byte of any layer is a new `FORMAT`; golden digests (tests/golden) hold
each format still. libdeflate is the only compressor here because its output is the same on every CPU, which
zlib's and isal's are not; so its exact release is part of the format.
"""

from __future__ import annotations

import hashlib

import deflate

from lading.errors import InternalError
from lading.oci.json import canonical_json

FORMAT = 1
MTIME_SECONDS = 315_619_200
"""1980-01-02 UTC for every entry: 0 breaks code that zips files (ZIP starts at 1980), and the day after
New Year stays in 1980 in every time zone."""
LEVEL = 6
CHUNK_BYTES = 4 << 20
"""Content that lading compresses itself is cut into gzip members of this many bytes: memory stays bounded."""

_LIBDEFLATE_BINDING = "0.9.0"


def recipe_digest() -> str:
    """64 hex digits over all that shapes bytes here. Raises InternalError for a foreign compressor."""
    if deflate.__version__ != _LIBDEFLATE_BINDING:
        raise InternalError(
            f"the compressor is deflate {deflate.__version__}, layers need {_LIBDEFLATE_BINDING}",
            hints=(f"pip install deflate=={_LIBDEFLATE_BINDING}",),
        )
    recipe = {
        "format": FORMAT,
        "compressor": f"deflate {_LIBDEFLATE_BINDING}",
        "level": LEVEL,
        "chunk_bytes": CHUNK_BYTES,
        "mtime_seconds": MTIME_SECONDS,
    }
    return hashlib.sha256(canonical_json(recipe)).hexdigest()
