"""axon takes trained trading models to production.

    market data → observation → model(s) → ensemble → strategy → order → risk → exchange → fills → portfolio

Every public name is importable from here; what it needs is imported when it is first used. Names that plugins provide
(`OnnxBackend`, …) resolve to the installed plugin, or say which distribution to install.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_MODULES = {
    "axon_quant.config": ("Config", "load_config"),
    "axon_quant.ensemble": ("DynamicWeightedEnsemble",),
    "axon_quant.errors": ("AxonError",),
    "axon_quant.exchange": (
        "ExchangeAdapter",
        "ExchangeConfig",
        "PaperAdapter",
        "RateLimitConfig",
        "ReconnectConfig",
    ),
    "axon_quant.inference": (
        "Action",
        "Backend",
        "Device",
        "GoldenVectors",
        "InferenceBackend",
        "ModelConfig",
        "ModelHotReloader",
        "ModelStore",
        "ModelVersion",
        "Recommendation",
        "Session",
        "as_scorer",
        "quiet_collector",
        "recommend_backend",
    ),
    "axon_quant.journal": ("Journal",),
    "axon_quant.market": ("Bar", "BookUpdate", "Instrument", "OrderBook", "Quote", "Trade"),
    "axon_quant.metrics": ("MetricsCollector",),
    "axon_quant.orders": ("Cancel", "Fill", "Order", "OrderStatus", "OrderType", "OrderUpdate", "Side", "TimeInForce"),
    "axon_quant.plugins": ("backend_for", "load_backend", "load_ensemble", "load_exchange", "load_explainer"),
    "axon_quant.portfolio": ("Portfolio",),
    "axon_quant.risk": ("RiskDecision", "RiskEngine", "RiskLimits"),
    "axon_quant.strategy": ("Strategy", "TargetPosition"),
}
_OWNERS = {name: module for module, names in _MODULES.items() for name in names}

if TYPE_CHECKING:
    from axon_backend_onnx import OnnxBackend as OnnxBackend
    from axon_backend_safetensors import CandleBackend as CandleBackend
    from axon_backend_safetensors import SafetensorsBackend as SafetensorsBackend
    from axon_backend_torch import TchBackend as TchBackend
    from axon_backend_torch import TorchBackend as TorchBackend
    from axon_exchange_binance import BinanceAdapter as BinanceAdapter
    from axon_exchange_binance import BinanceFuturesAdapter as BinanceFuturesAdapter
    from axon_exchange_okx import OkxAdapter as OkxAdapter
    from axon_quant.config import Config, load_config
    from axon_quant.ensemble import DynamicWeightedEnsemble
    from axon_quant.errors import AxonError
    from axon_quant.exchange import ExchangeAdapter, ExchangeConfig, PaperAdapter, RateLimitConfig, ReconnectConfig
    from axon_quant.inference import (
        Action,
        Backend,
        Device,
        GoldenVectors,
        InferenceBackend,
        ModelConfig,
        ModelHotReloader,
        ModelStore,
        ModelVersion,
        Recommendation,
        Session,
        as_scorer,
        quiet_collector,
        recommend_backend,
    )
    from axon_quant.journal import Journal
    from axon_quant.market import Bar, BookUpdate, Instrument, OrderBook, Quote, Trade
    from axon_quant.metrics import MetricsCollector
    from axon_quant.orders import Cancel, Fill, Order, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce
    from axon_quant.plugins import backend_for, load_backend, load_ensemble, load_exchange, load_explainer
    from axon_quant.portfolio import Portfolio
    from axon_quant.risk import RiskDecision, RiskEngine, RiskLimits
    from axon_quant.strategy import Strategy, TargetPosition
else:

    def __getattr__(name: str) -> object:
        if name in _OWNERS:
            value = getattr(import_module(_OWNERS[name]), name)
        elif name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        else:
            from axon_quant.plugins import resolve

            value = resolve(name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted([*globals(), *_OWNERS])


__all__ = [
    "Action",
    "AxonError",
    "Backend",
    "Bar",
    "BookUpdate",
    "Cancel",
    "Config",
    "Device",
    "DynamicWeightedEnsemble",
    "ExchangeAdapter",
    "ExchangeConfig",
    "Fill",
    "GoldenVectors",
    "InferenceBackend",
    "Instrument",
    "Journal",
    "MetricsCollector",
    "ModelConfig",
    "ModelHotReloader",
    "ModelStore",
    "ModelVersion",
    "Order",
    "OrderBook",
    "OrderStatus",
    "OrderType",
    "OrderUpdate",
    "PaperAdapter",
    "Portfolio",
    "Quote",
    "RateLimitConfig",
    "Recommendation",
    "ReconnectConfig",
    "RiskDecision",
    "RiskEngine",
    "RiskLimits",
    "Session",
    "Side",
    "Strategy",
    "TargetPosition",
    "TimeInForce",
    "Trade",
    "as_scorer",
    "backend_for",
    "load_backend",
    "load_config",
    "load_ensemble",
    "load_exchange",
    "load_explainer",
    "quiet_collector",
    "recommend_backend",
]
