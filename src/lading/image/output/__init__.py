"""Images as files for others: OCI layouts, archives, bills of materials, provenance."""
