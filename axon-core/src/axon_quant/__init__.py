"""axon takes trained trading models to production."""
