"""The kinds of layers: what is planned of each, and how it is written. `image.write` knows which is which."""
