"""The way out: an image's plan written as a Dockerfile that plain Docker builds without lading.

The pure half renders a plan (`dockerfile.py` and the stages it is put together from); `gather.py` finds what
must lie beside it, `write.py` puts it into a folder. Must not know how lading itself writes a layer.
"""
