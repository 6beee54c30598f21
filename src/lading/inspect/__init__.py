"""Looking into images, of whatever maker: what is in them, where it comes from, what differs.

Knows bytes and what they say of themselves; must not know how an image is built, run or served.
"""
