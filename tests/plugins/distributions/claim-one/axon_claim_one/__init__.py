"""One of two plugins that claim one name."""
