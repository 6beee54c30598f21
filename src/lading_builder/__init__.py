"""What goes into the build sandbox: a build frontend of the standard library alone. Never imports lading."""
