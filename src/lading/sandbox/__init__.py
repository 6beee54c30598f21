"""Where foreign build code runs: a container without network, secrets or the host's files."""
