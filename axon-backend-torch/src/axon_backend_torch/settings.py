"""The factory that a `config.json` beside a state dict names, where no code can hand one over."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from axon_quant.errors import ModelLoadError

FILE = "config.json"


class _Settings(Struct):
    """The keys that concern this backend; others may stand beside them."""

    factory: str | None = None


def factory_beside(path: Path, *, trusted: bool) -> str | None:
    """`"package.module:function"` from `config.json` in the model's folder; None where there is none.

    The file decides which installed code runs and no hash covers it: raises ModelLoadError unless `trusted`.
    """
    file = path.with_name(FILE)
    try:
        factory = msgspec.json.decode(file.read_bytes(), type=_Settings).factory
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ModelLoadError(f"the settings cannot be read: {error}", file=file) from error
    if factory is not None and not trusted:
        raise ModelLoadError(
            f"the factory {factory!r} would be imported and called because a file says so",
            file=file,
            hint="set trusted=True, or pass factory= to TorchBackend",
        )
    return factory
