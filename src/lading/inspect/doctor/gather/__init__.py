"""From a machine to evidence: one module a part of it, and `gather_host` over all."""
