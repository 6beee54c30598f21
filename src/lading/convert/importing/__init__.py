"""A Dockerfile becomes a `lading.toml`, with a word on every instruction. Nothing of the Dockerfile is run.

`read_context` looks at the folder once; `import_dockerfile` decides and is pure; writing is the caller's.
"""
