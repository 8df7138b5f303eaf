"""Names that our own plugin distributions provide, for `axon_quant.__getattr__` and for a helpful error."""

from __future__ import annotations

from typing import NamedTuple

from axon_quant.errors import PluginMissingError


class FirstParty(NamedTuple):
    """A public name, the plugin behind it and the requirement that installs it.

    `suffixes` are those of a backend's descriptor: somebody who has not installed it may have such a file.
    """

    attribute: str
    kind: str
    plugin: str
    distribution: str
    requirement: str
    suffixes: tuple[str, ...] = ()


_TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".torchscript", ".pt2")

FIRST_PARTY = {
    entry.attribute: entry
    for entry in (
        FirstParty("OnnxBackend", "backend", "onnx", "axon-backend-onnx", "axon-backend-onnx[cpu]", (".onnx",)),
        *(
            FirstParty(
                name,
                "backend",
                "safetensors",
                "axon-backend-safetensors",
                "axon-backend-safetensors",
                (".safetensors",),
            )
            for name in ("SafetensorsBackend", "CandleBackend")
        ),
        *(
            FirstParty(name, "backend", "torch", "axon-backend-torch", "axon-backend-torch", _TORCH_SUFFIXES)
            for name in ("TorchBackend", "TchBackend")
        ),
        FirstParty("BinanceAdapter", "exchange", "binance", "axon-exchange-binance", "axon-exchange-binance"),
        FirstParty(
            "BinanceFuturesAdapter", "exchange", "binance-futures", "axon-exchange-binance", "axon-exchange-binance"
        ),
        FirstParty("OkxAdapter", "exchange", "okx", "axon-exchange-okx", "axon-exchange-okx"),
        FirstParty("KernelSHAP", "explainer", "kernel-shap", "axon-explain", "axon-explain"),
        FirstParty("CounterfactualGenerator", "explainer", "counterfactuals", "axon-explain", "axon-explain"),
        FirstParty("ReportGenerator", "explainer", "reports", "axon-explain", "axon-explain"),
    )
}
"""Public name → where it comes from. One line per class that a first-party distribution provides."""


def find(kind: str, plugin: str) -> FirstParty | None:
    """The first-party entry of a plugin name, if it is one."""
    return next((e for e in FIRST_PARTY.values() if (e.kind, e.plugin) == (kind, plugin)), None)


def missing(entry: FirstParty) -> PluginMissingError:
    """The error for a name whose distribution is not installed."""
    return PluginMissingError(
        f"{entry.attribute} is provided by {entry.distribution}, which is not installed: "
        f'pip install "{entry.requirement}"'
    )


def resolve(name: str) -> object:
    """The object behind a public name such as `OnnxBackend`.

    Goes through the registry, so a blocked or duplicated plugin stays out of reach here, too; and nobody else's plugin
    of the same name takes its place. Raises AttributeError for
    a name that is not in the table, PluginMissingError (an ImportError) when the distribution is not installed, and
    PluginError when it is installed but cannot be used.
    """
    entry = FIRST_PARTY.get(name)
    if entry is None:
        raise AttributeError(f"no plugin provides {name!r}")
    from axon_quant.plugins.registry import installed

    return installed().load(entry.kind, entry.plugin, distribution=entry.distribution)
