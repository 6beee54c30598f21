"""What travels inside an image: standard library only; never imports lading."""
