"""The demo's model files: two that serve from the start, and the one that takes the place of the first at half time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from axon_quant.observation.features import FEATURES
from axon_quant.plugins import load_backend

_FLOW, _REVERSION = "demo-64x128", "demo-64x128-reversion"


@attrs.frozen
class ModelFiles:
    """The file of the model that is replaced, and the file that waits to replace it."""

    serving: Path
    waiting: Path

    @classmethod
    def write(cls, folder: Path) -> ModelFiles:
        """Lay out the models in `folder`, as they are before the run.

        The first version of `flow` was built without the names of the features: its weights are random, and it has
        nothing to say. The second one looks at the order flow. Raises PluginMissingError without the onnx backend,
        OSError when the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        files = cls(folder / "flow.onnx", folder / "flow.onnx.next")
        _build(_FLOW, None, files.serving)
        _build(_FLOW, FEATURES, files.waiting)
        _build(_REVERSION, FEATURES, folder / "reversion.onnx")
        return files

    def swap(self) -> None:
        """Replace the serving file in one step, as a deployment would."""
        self.waiting.replace(self.serving)


def _build(name: str, features: Sequence[str] | None, path: Path) -> None:
    path.write_bytes(load_backend("onnx").builtin(name, features).read_bytes())
