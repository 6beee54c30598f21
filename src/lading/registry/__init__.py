"""Where images travel: the HTTP API of registries (OCI distribution-spec v1.1), spoken as a client.

Knows digests, references and the store; must not know how an image is made or run.
"""
