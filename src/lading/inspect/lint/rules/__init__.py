"""The rules, a module a subject. Pure: each reads one document."""
