"""What `axon bench` and `axon predict` ask about a model, and the engine they get for it."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from axon_quant.errors import PluginError
from axon_quant.inference.config import Device, InferenceBackend, ModelConfig
from axon_quant.plugins import backend_for, load_backend

if TYPE_CHECKING:
    from axon_quant.inference.backend import Backend

MODEL = click.Path(exists=True, dir_okay=False, path_type=Path)


@attrs.frozen
class EngineOptions:
    """How a model is to be served, as given on the command line."""

    device: Device
    threads: int
    shape: tuple[int, ...] | None
    fp16: bool
    sha256: str | None
    trusted: bool


def _device(_context: click.Context, _parameter: click.Parameter, value: str) -> Device:
    try:
        return Device.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _shape(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}([x,][0-9]{1,9})+", value):
        raise click.BadParameter(f"a shape is the batch and the window, as in 1x64x128, got {value!r}")
    return tuple(map(int, re.split("[x,]", value)))


_OPTIONS = (
    click.option(
        "--shape", callback=_shape, metavar="BxTxF", help="Batch and window where the model leaves them open."
    ),
    click.option(
        "--device", callback=_device, metavar="DEVICE", default="cpu", show_default=True, help="As in cuda:0."
    ),
    click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Of one inference."),
    click.option("--fp16", is_flag=True, help="Run in half precision, which the model must have."),
    click.option("--sha256", metavar="HEX", help="Refuse the model unless its bytes have this hash."),
    click.option("--trusted", is_flag=True, help="Allow formats that hold code; needs --sha256."),
)


def engine_options(function: Callable[..., object]) -> Callable[..., object]:
    """Add the options of a model to a command, which gets them as one argument, `how`."""

    @functools.wraps(function)
    def packed(
        *,
        device: Device,
        threads: int,
        shape: tuple[int, ...] | None,
        fp16: bool,
        sha256: str | None,
        trusted: bool,
        **others: object,
    ) -> object:
        # Before numpy is imported: more threads than asked for would take turns on the cores.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads))
        return function(how=EngineOptions(device, threads, shape, fp16, sha256, trusted), **others)

    for option in reversed(_OPTIONS):
        packed = option(packed)
    return packed


def load_class(name: str) -> type[Backend]:
    """The backend of that name. Raises click.UsageError that says why there is none."""
    with _usage_errors():
        return load_backend(InferenceBackend(name))


def name_for(path: Path) -> str:
    """The name of the backend that reads `path`. Raises click.UsageError that says what could."""
    with _usage_errors():
        return backend_for(path)


def open_engine(backend: str, path: Path, how: EngineOptions, *, actions: tuple[str, ...] | None = None) -> Backend:
    """Load a model. Raises what `Backend.load` raises, and click.UsageError for what cannot be asked for."""
    make = load_class(backend)
    with _usage_errors():
        config = ModelConfig(
            path,
            InferenceBackend(backend),
            how.device,
            input_shape=how.shape,
            fp16=how.fp16,
            num_threads=how.threads,
            actions=actions,
            sha256=how.sha256,
            trusted=how.trusted,
        )
    engine = make(config)
    engine.load()
    return engine


@contextmanager
def _usage_errors() -> Iterator[None]:
    try:
        yield
    except (PluginError, ValueError) as error:
        raise click.UsageError(str(error)) from error
