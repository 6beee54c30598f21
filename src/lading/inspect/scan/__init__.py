"""What must not be in an image: secrets in any layer, changed wheels, code that starts by itself, flaws.

A layer is looked at once, while it is read; what was seen is kept in the store by the layer's digest. What it
means for an image (who owns a file, what a later layer hides) is decided afterwards, and is pure.
"""
