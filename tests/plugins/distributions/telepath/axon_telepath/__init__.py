"""A plugin with an unknown capability."""
