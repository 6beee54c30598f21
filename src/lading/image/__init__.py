"""How a lock becomes an image: Plan → Layers → Image. Files are relocated, never installed by execution."""
