"""What a configuration holds: one class per section of the file, with defaults and safe ranges."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import attrs

from axon_quant.config.identity import sha256_of
from axon_quant.config.paths import ControlPaths
from axon_quant.config.rollout import RolloutEntry
from axon_quant.config.validators import NAME, STORED, above, between, distinct, each, matches, not_empty
from axon_quant.market.instrument import Instrument
from axon_quant.risk.limits import RiskLimits
from axon_quant.secrets import Secret

_optional = attrs.validators.optional
_LATER = {"added_later": True}

FEATURE_SETS = ("microstructure-128",)
"""The names of the sets of features that an observation can have."""


@attrs.frozen(kw_only=True)
class RunConfig:
    """[run]: `seed` of everything random in a run."""

    seed: int = attrs.field(default=0, validator=between(0, 2**63 - 1))


@attrs.frozen(kw_only=True)
class InstrumentEntry:
    """[[market.instruments]]: what a symbol trades and the grid of its orders, as in `axon_quant.market.Instrument`."""

    symbol: str = attrs.field(validator=NAME)
    base: str = attrs.field(validator=NAME)
    quote: str = attrs.field(validator=NAME)
    tick_size: Decimal = attrs.field(validator=above(0))
    lot_size: Decimal = attrs.field(validator=above(0))
    min_notional: Decimal = attrs.field(default=Decimal(0), validator=between(0, 10**12))

    def instrument(self, venue: str) -> Instrument:
        """The instrument as `venue` trades it."""
        return Instrument(venue=venue, **attrs.asdict(self))


@attrs.frozen(kw_only=True)
class MarketConfig:
    """[market]: the symbols to trade and their instruments."""

    symbols: tuple[str, ...] = attrs.field(validator=[not_empty, distinct, each(NAME)])
    instruments: tuple[InstrumentEntry, ...] = attrs.field(validator=not_empty)


@attrs.frozen(kw_only=True)
class ObservationConfig:
    """[observation]: which features, how many rows make a window and how far apart they are.

    With `backfill` a live run fills its windows with the venue's past trades before it begins, instead of waiting. A
    venue tells no past order books: in such rows the depth features are 0 and `book_whole` says so, which a model must
    have been trained on.
    """

    features: str = attrs.field(
        default=FEATURE_SETS[0], validator=matches("|".join(FEATURE_SETS), "the one set there is, 'microstructure-128'")
    )
    window: int = attrs.field(default=64, validator=between(1, 100_000))
    interval_ms: int = attrs.field(default=100, validator=between(1, 86_400_000))
    max_silence_ms: int = attrs.field(default=5_000, validator=between(1, 7 * 86_400_000))
    backfill: bool = attrs.field(default=False, metadata=_LATER)


@attrs.frozen(kw_only=True)
class ModelEntry:
    """[[models]]: a model file, a builtin or a stored version, and how to run it. None: read from the model.

    `path` is absolute. `stored` names a version in the model store, which also knows its backend. `weight` is the
    initial weight in the ensemble; either every model has one or none has. With `reload` the file is watched, and a new
    version serves as soon as it has passed its checks.
    """

    name: str = attrs.field(validator=NAME)
    path: Path | None = None
    builtin: str | None = attrs.field(default=None, validator=_optional(NAME))
    stored: str | None = attrs.field(default=None, validator=_optional(STORED), metadata={"in_identity": False})
    backend: str = attrs.field(default="onnx", validator=NAME)
    device: str = attrs.field(default="cpu", validator=matches(r"cpu|cuda(:\d{1,3})?", "'cpu', 'cuda' or 'cuda:N'"))
    input_shape: tuple[int, ...] | None = attrs.field(
        default=None, validator=_optional([not_empty, each(between(1, 10**6))])
    )
    output_dim: int | None = attrs.field(default=None, validator=_optional(between(1, 10**6)))
    fp16: bool = False
    num_threads: int = attrs.field(default=1, validator=between(1, 256))
    actions: tuple[str, ...] | None = attrs.field(default=None, validator=_optional([not_empty, distinct, each(NAME)]))
    sha256: str | None = attrs.field(
        default=None, validator=_optional(matches(r"[0-9a-f]{64}", "64 lower-case hexadecimal digits"))
    )
    trusted: bool = False
    weight: float | None = attrs.field(default=None, validator=_optional(between(0, 10**6)))
    reload: bool = False


@attrs.frozen(kw_only=True)
class ModelStoreConfig:
    """[model_store]: the folder that keeps every version of every model."""

    path: Path


@attrs.frozen(kw_only=True)
class EnsembleConfig:
    """[ensemble]: how the models are combined, and what happens to one that fails or drifts.

    `drift` names a detector of the members' confidence and returns. `retry_after_decisions` lets a deactivated member
    be tried again, over `trial_decisions`. A live run saves what the ensemble has learnt every `save_every_rounds` of
    realised returns and at its end; with `resume` the next one goes on from there.
    """

    strategy: str = attrs.field(default="softmax-sharpe", validator=NAME)
    performance_window: int = attrs.field(default=100, validator=between(2, 10**6))
    horizon_rows: int = attrs.field(default=10, validator=between(1, 10**6))
    max_failures: int = attrs.field(default=3, validator=between(1, 10**6), metadata=_LATER)
    drift: str = attrs.field(
        default="none", validator=matches("none|cusum|psi", "'none', 'cusum' or 'psi'"), metadata=_LATER
    )
    on_drift: str = attrs.field(
        default="report", validator=matches("report|deactivate", "'report' or 'deactivate'"), metadata=_LATER
    )
    retry_after_decisions: int | None = attrs.field(
        default=None, validator=_optional(between(1, 10**9)), metadata=_LATER
    )
    trial_decisions: int = attrs.field(default=50, validator=between(1, 10**6), metadata=_LATER)
    resume: bool = attrs.field(default=True, metadata=_LATER)
    save_every_rounds: int = attrs.field(default=100, validator=between(1, 10**9), metadata={"in_identity": False})


@attrs.frozen(kw_only=True)
class StrategyConfig:
    """[strategy]: a name, or `FILE.py:CLASS`, and the options it is constructed with, as plain values."""

    name: str = attrs.field(default="target-position", validator=NAME)
    options: Mapping[str, object] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class RateLimitEntry:
    """[exchange.rate_limit]: our own budget; the venue's is kept as well."""

    requests_per_second: int = attrs.field(default=10, validator=between(1, 10_000))
    orders_per_minute: int = attrs.field(default=60, validator=between(1, 100_000))


@attrs.frozen(kw_only=True)
class ReconnectEntry:
    """[exchange.reconnect]: how often and how soon to try again."""

    max_retries: int = attrs.field(default=10, validator=between(0, 10_000))
    initial_backoff_ms: int = attrs.field(default=500, validator=between(1, 600_000))


@attrs.frozen(kw_only=True)
class ExchangeEntry:
    """[exchange]: the venue, and for `paper` its balances, latency and fees (fractions; a rebate is negative).

    `foreign_orders` says what a run does about open orders on the account that are not its own: `ignore` leaves them
    alone, `adopt` follows them as if they were, `halt` does not trade beside them.
    """

    name: str = attrs.field(default="paper", validator=NAME)
    balances: Mapping[str, Decimal] = attrs.field(factory=dict, validator=each(between(0, 10**15)))
    latency_ms: float = attrs.field(default=0.0, validator=between(0, 60_000))
    maker_fee: Decimal = attrs.field(default=Decimal("0.001"), validator=between(Decimal("-0.01"), Decimal("0.1")))
    taker_fee: Decimal = attrs.field(default=Decimal("0.001"), validator=between(0, Decimal("0.1")))
    api_key: Secret | None = None
    api_secret: Secret | None = None
    passphrase: Secret | None = None
    testnet: bool = True
    foreign_orders: str = attrs.field(
        default="ignore", validator=matches(r"adopt|ignore|halt", "'adopt', 'ignore' or 'halt'"), metadata=_LATER
    )
    rate_limit: RateLimitEntry = attrs.field(factory=RateLimitEntry)
    reconnect: ReconnectEntry = attrs.field(factory=ReconnectEntry)


@attrs.frozen(kw_only=True)
class JournalConfig:
    """[journal]: where it is kept; `strict` waits for the disk before each order even on the embedded paper venue.

    A run without a [model_store] keeps a copy of each model version it serves beside the journal, so that its decisions
    can be replayed; `keep_models = false` does not.
    """

    path: Path
    strict: bool = False
    keep_models: bool = True


@attrs.frozen(kw_only=True)
class MetricsConfig:
    """[metrics]: the port of the endpoint on 127.0.0.1; None serves nothing, 0 takes any free port."""

    port: int | None = attrs.field(default=None, validator=_optional(between(0, 65_535)))


@attrs.frozen(kw_only=True)
class LoggingConfig:
    """[logging]: `text` is for people; `json` is one object a line on stderr, for whoever collects logs."""

    format: str = attrs.field(default="text", validator=matches("text|json", "'text' or 'json'"))


@attrs.frozen(kw_only=True)
class TracingConfig:
    """[tracing]: where spans of orders are sent, over OTLP/HTTP; needs `axon-core[otlp]`. Off without an `endpoint`.

    One of `sample_every` orders is sent, and every order that was rejected or took `slow_ms` to be answered.
    """

    endpoint: str | None = attrs.field(
        default=None, validator=_optional(matches(r"https?://[^\s@]+", "a URL without a password in it"))
    )
    sample_every: int = attrs.field(default=100, validator=between(1, 10**9))
    slow_ms: float = attrs.field(default=500.0, validator=above(0))


@attrs.frozen(kw_only=True)
class OperationsConfig:
    """[operations]: how a live run is controlled and watched while it runs.

    `socket` is where `axon halt` and its kin reach it; default: the journal's path with `.sock`. A watchdog takes a run
    that has not answered for `watchdog_timeout_ms` for hung. With `cancel_after_s` the venue itself cancels every order
    unless the run says every third of that time that it lives; a venue must have such a dead-man switch.
    `latency_sla_ms` is what `axon load-test` and `axon preflight` hold the p99 of the latency to; default: where the
    HighLatency alert fires.
    """

    socket: Path | None = None
    watchdog_timeout_ms: int = attrs.field(default=1_500, validator=between(100, 600_000))
    cancel_after_s: int | None = attrs.field(default=None, validator=_optional(between(3, 3_600)))
    latency_sla_ms: float = attrs.field(default=500.0, validator=between(0.001, 600_000))


@attrs.frozen(kw_only=True)
class Config:
    """Everything a run needs. `folder` is where relative paths start: the configuration's own folder."""

    market: MarketConfig
    models: tuple[ModelEntry, ...] = attrs.field(validator=not_empty)
    journal: JournalConfig
    run: RunConfig = attrs.field(factory=RunConfig)
    observation: ObservationConfig = attrs.field(factory=ObservationConfig)
    ensemble: EnsembleConfig = attrs.field(factory=EnsembleConfig)
    strategy: StrategyConfig = attrs.field(factory=StrategyConfig)
    risk: RiskLimits = attrs.field(factory=RiskLimits)
    exchange: ExchangeEntry = attrs.field(factory=ExchangeEntry)
    metrics: MetricsConfig = attrs.field(factory=MetricsConfig)
    operations: OperationsConfig = attrs.field(factory=OperationsConfig)
    logging: LoggingConfig = attrs.field(factory=LoggingConfig)
    tracing: TracingConfig = attrs.field(factory=TracingConfig)
    rollout: RolloutEntry | None = None
    model_store: ModelStoreConfig | None = None
    folder: Path = attrs.field(factory=Path, eq=False, metadata={"in_file": False})

    @property
    def initial_weights(self) -> tuple[float, ...] | None:
        """The models' weights in their order, or None when they have none."""
        weights = tuple(model.weight for model in self.models if model.weight is not None)
        return weights or None

    @property
    def control(self) -> ControlPaths:
        """Where a live run of this configuration is controlled, and what keeps it halted over a restart."""
        return ControlPaths.beside(self.journal.path, self.operations.socket)

    @property
    def sha256(self) -> str:
        """Identity of everything that affects trading, the same from any folder. See `identity`."""
        return sha256_of(self)
