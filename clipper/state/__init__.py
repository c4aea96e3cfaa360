"""Durable facts: the store, its backends, and the registry of typed records."""
