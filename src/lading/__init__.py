"""lading: a project folder becomes sealed images, runs and services, with no Docker daemon and no root.

The packages stand in the order in which data flows (see docs/internals/tour.md):
project → lock → image → engine → run → serve, all on top of `store` and `oci`.
"""

__version__ = "0.1.0"
