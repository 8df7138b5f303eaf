"""As ours would be if an upgrade had gone wrong."""

import acme_vendor_sdk  # noqa: F401
