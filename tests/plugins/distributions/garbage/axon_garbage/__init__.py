"""A plugin whose hook yields garbage."""
