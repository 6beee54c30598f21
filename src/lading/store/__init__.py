"""Where bytes stay: blobs, layer records, extracted trees. Atomic, verified, collectable.

Knows digests and keys; must not know what an image, a wheel or a project is.
"""

from lading.store.store import Store

__all__ = ["Store"]
