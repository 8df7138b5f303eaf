"""A plugin for a later core."""
