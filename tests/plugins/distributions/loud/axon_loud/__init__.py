"""A plugin that prints on import."""
