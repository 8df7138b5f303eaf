"""A plugin that exits on import."""
