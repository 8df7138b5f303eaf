"""The pipeline, put together from a configuration, in the order in which a market message passes through it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path

import attrs

from axon_quant import logs
from axon_quant.clock import SimClock
from axon_quant.config import Config
from axon_quant.ensemble import Cusum, DynamicWeightedEnsemble, Psi
from axon_quant.errors import ConfigError
from axon_quant.events import RunEnded, RunStarted
from axon_quant.inference import Backend
from axon_quant.journal import Journal
from axon_quant.journal.storage import RunInfo
from axon_quant.market import Instrument, InstrumentKind, OrderBook
from axon_quant.metrics import MetricsCollector
from axon_quant.observation import Observation
from axon_quant.orders import ClientOrderIds, OrderTracker
from axon_quant.orders.ids import base36, client_order_ids
from axon_quant.plugins import load_ensemble
from axon_quant.portfolio import Portfolio
from axon_quant.risk import RiskEngine
from axon_quant.runtime import telemetry
from axon_quant.runtime.bus import EventBus
from axon_quant.runtime.engine import Engine, Router
from axon_quant.runtime.keeping import Archive, PlanNotes, open_archive
from axon_quant.runtime.lane import Lane
from axon_quant.runtime.memory import EnsembleMemory
from axon_quant.runtime.models import build_model, open_store
from axon_quant.runtime.peak import EquityPeak
from axon_quant.runtime.reloading import HotReload
from axon_quant.runtime.returns import MemberReturns
from axon_quant.runtime.rollout import LabelStore, Rollout, plan_rollout
from axon_quant.runtime.stages import Stages
from axon_quant.runtime.tracing import open_tracing
from axon_quant.strategy import load_strategy

logger = logging.getLogger("axon_quant.run")


@attrs.frozen
class Pipeline:
    """A run that is ready to start: the engine and everything around it."""

    config: Config
    mode: str
    clock: SimClock
    engine: Engine
    portfolio: Portfolio
    risk: RiskEngine
    ensemble: DynamicWeightedEnsemble
    backends: tuple[Backend, ...]
    bus: EventBus
    journal: Journal
    metrics: MetricsCollector
    stages: Stages
    info: RunInfo
    reload: HotReload
    peak: EquityPeak
    rollout: Rollout | None = None
    memory: EnsembleMemory | None = None
    archive: Archive | None = None
    plans: PlanNotes | None = None

    @contextmanager
    def ending(self) -> Iterator[None]:
        """A run that leaves this block by an exception is journaled as failed."""
        try:
            yield
        except BaseException:
            if self.journal.failed is None:
                self.end("failed")
            raise

    def end(self, outcome: str) -> None:
        """Journal what the ensemble has learnt, the peak and how the run ended, and make all of it durable."""
        if self.memory is not None:
            self.memory.save()
        self.peak.save()
        self.bus.record(RunEnded(self.clock.time, outcome))
        self.journal.flush()
        logger.info("run %d ended: %s, journal head %s", self.info.number, outcome, self.journal.head)


@attrs.frozen
class Surroundings:
    """What a router is made from."""

    config: Config
    clock: SimClock
    instruments: tuple[Instrument, ...]
    books: dict[str, OrderBook]
    journal: Journal
    stages: Stages


MakeRouter = Callable[[Surroundings], Router]


@contextmanager
def pipeline(
    config: Config,
    make_router: MakeRouter,
    *,
    mode: str,
    recording: Path | None = None,
    balances: Mapping[str, Decimal] | None = None,
    members: Mapping[str, object] | None = None,
    labels: LabelStore | None = None,
    instruments: tuple[Instrument, ...] | None = None,
    positions: Mapping[str, tuple[Decimal, Decimal]] | None = None,
) -> Iterator[Pipeline]:
    """Build the pipeline of `config`; leaving the block makes everything durable and lets go of it.

    `balances`, `instruments` (default: the configuration's) and `positions` of swaps, (base units, entry price), are
    the account's and the venue's. `members` join the ensemble after the configured models, by name: whatever
    `as_scorer` understands, such as a rule written as a function. `labels` (default: the configuration's model store)
    is told when a live rollout has promoted its candidate. Models, weighting and strategy are loaded before the journal
    is opened, so a mistake in them leaves no trace. Raises what the parts raise:
    ConfigError, ModelError, PluginError, JournalError, MetricsError.
    """
    instruments = build_instruments(config) if instruments is None else instruments
    schema = Observation.schema(config.observation.window, config.observation.interval_ms)
    store = open_store(config)
    backends = tuple(build_model(entry, schema, store) for entry in config.models)
    plan = plan_rollout(config, backends, lambda entry: build_model(entry, schema, store))
    load_ensemble(config.ensemble.strategy)
    strategy = load_strategy(config.strategy.name, config.strategy.options, config.folder)

    spans = open_tracing(config)

    with ExitStack() as stack:
        journal = stack.enter_context(Journal(config.journal.path))
        info = journal.start_run(mode=mode, continues=mode == "live", recording=recording, chain_notes=mode == "live")
        stack.enter_context(logs.of_run(info.number))
        logger.info("run %d begins: %s, config %s", info.number, mode, config.sha256)
        metrics = stack.enter_context(MetricsCollector())
        bus = EventBus(journal, metrics)
        clock = SimClock()
        stages = Stages(journal.note, metrics.record_latency)
        if spans is not None:
            stages.spans, spans.run = stack.enter_context(spans), info.number
        stack.enter_context(client_order_ids(_ids(mode, config.run.seed)))

        # market data → observation
        books = {instrument.symbol: OrderBook(instrument.symbol) for instrument in instruments}
        lanes = {
            instrument.symbol: Lane(
                instrument,
                books[instrument.symbol],
                Observation(
                    instrument.symbol,
                    books[instrument.symbol],
                    window=config.observation.window,
                    interval_ms=config.observation.interval_ms,
                    max_silence_ms=config.observation.max_silence_ms,
                    emit=bus.record,
                ),
                bus.record,
            )
            for instrument in instruments
        }

        # → model(s) → ensemble
        models = backends if plan is None else plan.members(backends)
        ensemble = build_ensemble(config, models, members or {}, bus, clock)
        memory = None
        if mode == "live":
            memory = EnsembleMemory(ensemble, bus.record, clock, config.ensemble.save_every_rounds)

        # → strategy → order → risk → exchange → fills → portfolio
        held = config.exchange.balances if balances is None else balances
        portfolio = Portfolio(held, instruments, positions=positions)
        risk = RiskEngine(
            config.risk,
            instruments,
            clock=clock,
            account=portfolio,
            prices=_Prices(lanes),
            emit=bus.record,
            fee_rate=max(config.exchange.maker_fee, config.exchange.taker_fee),
        )
        peak = EquityPeak(metrics, portfolio, clock, bus.record if mode == "live" else None)
        router = make_router(Surroundings(config, clock, instruments, books, journal, stages))
        engine = Engine(
            lanes=lanes,
            model=ensemble,
            returns=MemberReturns(memory or ensemble, config.ensemble.horizon_rows),
            strategy=strategy,
            risk=risk,
            portfolio=portfolio,
            orders=OrderTracker(),
            router=router,
            record=bus.record,
            clock=clock,
            stages=stages,
            on_equity=peak.on_equity,
            on_fill=lambda fill, arrival: metrics.record_slippage(
                fill.symbol,
                fill.side,
                float(fill.price),
                float(lanes[fill.symbol].instrument.in_base(fill.quantity)),
                arrival,
            ),
        )

        # every step: events → journal, metrics
        identities = tuple(backend.model.identity for backend in backends)
        combined_by = config.ensemble.strategy
        bus.record(RunStarted(0, mode, config.run.seed, config.sha256, schema.sha256, identities, combined_by))
        served = backends if plan is None else (*backends, plan.candidate)
        archive = open_archive(config)
        if archive is not None:
            for backend in served:
                archive.keep(backend.prepared, backend.config)
        plans = PlanNotes(journal.note, store if archive is None else archive.store)
        plans.begin(*served)
        if memory is not None and config.ensemble.resume:
            memory.resume(journal.path)
        rollout = None
        if plan is not None:
            rollout = plan.start(
                config,
                live=mode == "live",
                emit=plans.after(bus.record),
                note=journal.note,
                reactivate=ensemble.reactivate,
                labels=labels or store,
            )
            stack.enter_context(rollout).attach(engine)
        built = Pipeline(
            config,
            mode,
            clock,
            engine,
            portfolio,
            risk,
            ensemble,
            backends,
            bus,
            journal,
            metrics,
            stages,
            info,
            HotReload(
                [backend for entry, backend in zip(config.models, backends, strict=True) if entry.reload],
                plans.after(bus.record),
                clock,
                schema=schema,
                store=store,
                archive=archive,
            ),
            peak,
            rollout,
            memory,
            archive,
            plans,
        )
        telemetry.watch(built)
        if config.metrics.port is not None:
            with built.ending():  # the port may be taken
                metrics.export_prometheus(port=config.metrics.port, ready=lambda: telemetry.readiness(built))
        yield built


def build_instruments(config: Config) -> tuple[Instrument, ...]:
    """The instruments of the symbols that are traded."""
    return tuple(
        entry.instrument(config.exchange.name)
        for entry in config.market.instruments
        if entry.symbol in config.market.symbols
    )


def as_traded(instruments: Iterable[Instrument], known: Mapping[str, Instrument]) -> tuple[Instrument, ...]:
    """`instruments` as spot or swap, and with the contract, as the venue has them; one it does not know stays as it is.

    Raises ConfigError for a swap whose base or quote asset the venue gives another name.
    """
    traded = []
    for ours in instruments:
        theirs = known.get(ours.symbol, ours)
        if theirs.kind is InstrumentKind.Swap and (ours.base, ours.quote) != (theirs.base, theirs.quote):
            raise ConfigError(
                f"{ours.symbol} is a swap on {theirs.base} settled in {theirs.quote}, "
                f"[[market.instruments]] says {ours.base} and {ours.quote}"
            )
        traded.append(attrs.evolve(ours, kind=theirs.kind, contract_size=theirs.contract_size))
    return tuple(traded)


def build_ensemble(
    config: Config, models: Sequence[object], members: Mapping[str, object], bus: EventBus, clock: SimClock
) -> DynamicWeightedEnsemble:
    """The ensemble over all models and further members; one model alone is an ensemble of one.

    Where the models have initial weights, each further member has their mean.
    """
    entry, weights = config.ensemble, config.initial_weights
    if weights is not None:
        weights += (sum(weights) / len(weights),) * len(members)
    return DynamicWeightedEnsemble(
        [*models, *members.values()],
        weights,
        entry.performance_window,
        strategy=entry.strategy,
        names=[*(model.name for model in config.models), *members],
        max_failures=entry.max_failures,
        drift=_DETECTORS[entry.drift],
        on_drift="deactivate" if entry.on_drift == "deactivate" else "report",
        retry_after=entry.retry_after_decisions,
        trial=entry.trial_decisions,
        emit=bus.record,
        clock=clock,
    )


_DETECTORS: Mapping[str, type[Cusum] | type[Psi] | None] = {"none": None, "cusum": Cusum, "psi": Psi}
"""By [ensemble] drift."""


class _Prices:
    """Reference prices for the risk engine: the lanes' mids, and when they were received."""

    def __init__(self, lanes: dict[str, Lane]) -> None:
        self._lanes = lanes

    def reference(self, symbol: str) -> tuple[float, int] | None:
        lane = self._lanes.get(symbol)
        return (lane.price, lane.received) if lane is not None and lane.price else None


def _ids(mode: str, seed: int) -> ClientOrderIds:
    """A replay names its orders after its seed, so that two replays agree; a live run takes a prefix of its own."""
    if mode == "live":
        return ClientOrderIds()
    return ClientOrderIds(f"r{base36(seed)}")
