"""The vocabulary of images: digests, references, platforms, descriptors, manifests, configs. Pure values.

Sources: OCI image-spec v1.1 (descriptor.md, manifest.md, config.md, layer.md, image-layout.md).
"""
