"""What an image's bytes are, whose they are, and which need not be there."""
