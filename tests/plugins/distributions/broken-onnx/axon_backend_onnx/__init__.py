"""A first-party plugin that is installed but broken."""
