"""An axon plugin for the Example Exchange, a venue with a small JSON protocol."""
