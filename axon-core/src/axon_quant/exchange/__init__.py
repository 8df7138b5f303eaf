"""Venues: adapters, the rate budget, the matching engine and the paper venue that stands on it."""

__all__: list[str] = []
