"""Somebody else's plugin of a first-party name."""
