"""Needs something that is not installed."""

import acme_vendor_sdk

from axon_quant.plugins import BackendDescriptor, hookimpl


@hookimpl
def axon_backends():
    yield BackendDescriptor(name="vendor", target=f"{acme_vendor_sdk.__name__}:Backend", api=1)
