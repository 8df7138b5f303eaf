"""A plugin with a hook that raises."""
