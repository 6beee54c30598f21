"""What a project resolves to, exactly: wheels, interpreter, Debian packages, layer digests.

`uv` resolves wheels, a small solver closes over Debian packages; this package checks, records and compares.
"""
