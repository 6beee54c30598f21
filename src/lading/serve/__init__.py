"""Services: a sealed model in its serving image behind an address, checked before it is announced.

Knows images, models, the ledger and an engine; must not know how an image is made or a container started.
"""
