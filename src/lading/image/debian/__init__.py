"""A Debian root without maintainer scripts: packages unpacked, their effects made by handlers.

Knows what is inside packages and what a root needs. Must not know where packages come from
(lading.lock.debian) nor how a layer is written.
"""

from lading.image.debian.tree import debian_layers, debian_tree, layer_entries, layer_over
from lading.image.elf import ElfNeeds, elf_needs

__all__ = ["ElfNeeds", "debian_layers", "debian_tree", "elf_needs", "layer_entries", "layer_over"]
