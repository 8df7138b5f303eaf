"""Formats that hold code are opened only when the configuration trusts and pins them, and then from a private copy."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from axon_backend_torch.formats import Format, detect
from axon_quant.errors import ModelLoadError
from axon_quant.inference.checks import check_pin
from axon_quant.inference.config import ModelConfig
from axon_quant.inference.files import file_sha256

_BLOCK = 1 << 20
_SUFFIXES = {Format.TorchScript: ".pt", Format.Export: ".pt2", Format.Aoti: ".pt2"}


@contextmanager
def verified_copy(path: Path, kind: Format, config: ModelConfig) -> Iterator[Path]:
    """A copy of the file, in a folder of ours, whose bytes are the pinned ones: nobody can change it before it is read.

    Raises ModelLoadError unless the configuration trusts and pins the file, ModelCheckError for other bytes.
    """
    if not config.trusted or config.sha256 is None:
        missing = [
            *([] if config.trusted else ["trusted=True"]),
            *([] if config.sha256 is not None else [f'sha256="{file_sha256(path)}"']),
        ]
        raise ModelLoadError(
            f"a {kind} file holds code that runs when it is loaded, so it is loaded only if trusted and pinned",
            file=path,
            hint=f"compare its sha256 with the one its maker gives, then set {' and '.join(missing)}; "
            "or save module.state_dict(), which holds no code",
        )
    with tempfile.TemporaryDirectory(prefix="axon-torch-") as folder:
        copy = Path(folder) / f"model{_SUFFIXES[kind]}"
        digest = hashlib.sha256()
        with path.open("rb") as source, copy.open("wb") as target:
            while block := source.read(_BLOCK):
                digest.update(block)
                target.write(block)
        check_pin(config, path, digest.hexdigest())
        if detect(copy) is not kind:
            raise ModelLoadError("the file changed while it was loaded", file=path, hint="replace it atomically")
        yield copy
