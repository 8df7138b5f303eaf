"""As slow as some vendors' packages."""

import time

time.sleep(5)


class Engine:
    """Stands for something real."""
