"""A plugin whose target takes five seconds to import."""
