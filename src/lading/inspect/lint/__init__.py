"""Rules over the files people run ML containers with: Dockerfiles, compose files, Kubernetes and Argo
manifests.

Files become documents (real parsers, with offsets), a rule looks at one document and yields findings, the
engine sorts, ignores and counts them. A further kind of document needs a reader and `Rule.kind`, nothing
else.
"""
