"""Configuration: a TOML file into typed, checked values, with one good error for every mistake."""

from axon_quant.config.load import load_config, parse_config
from axon_quant.config.schema import (
    Config,
    EnsembleConfig,
    ExchangeEntry,
    InstrumentEntry,
    JournalConfig,
    LoggingConfig,
    MarketConfig,
    MetricsConfig,
    ModelEntry,
    ModelStoreConfig,
    ObservationConfig,
    OperationsConfig,
    RateLimitEntry,
    ReconnectEntry,
    RunConfig,
    StrategyConfig,
    TracingConfig,
)

__all__ = [
    "Config",
    "EnsembleConfig",
    "ExchangeEntry",
    "InstrumentEntry",
    "JournalConfig",
    "LoggingConfig",
    "MarketConfig",
    "MetricsConfig",
    "ModelEntry",
    "ModelStoreConfig",
    "ObservationConfig",
    "OperationsConfig",
    "RateLimitEntry",
    "ReconnectEntry",
    "RunConfig",
    "StrategyConfig",
    "TracingConfig",
    "load_config",
    "parse_config",
]
