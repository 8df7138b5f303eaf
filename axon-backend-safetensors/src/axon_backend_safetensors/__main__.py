"""`python -m axon_backend_safetensors MODEL CONFIG` seals a config.json into its model file."""

import sys
from pathlib import Path

from axon_backend_safetensors.writer import seal
from axon_quant.errors import AxonError


def main() -> int:
    """Exit status: 0 sealed, 1 a file cannot be used, 2 usage."""
    if len(sys.argv) != 3:
        print("usage: python -m axon_backend_safetensors MODEL.safetensors CONFIG.json", file=sys.stderr)
        return 2
    try:
        seal(Path(sys.argv[1]), Path(sys.argv[2]))
    except (AxonError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
