"""Any image as evidence: its config, its layers, and every member of their tars with what became of it."""
