"""One load test: the configuration's own pipeline, on the paper venue and with a journal that is thrown away."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import attrs

from axon_quant.clock import NANOSECONDS, LiveClock
from axon_quant.config import Config, MetricsConfig
from axon_quant.errors import JournalError
from axon_quant.load.report import LoadReport, judge
from axon_quant.load.schedule import OpenLoop
from axon_quant.load.traffic import traffic
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.summary import RunSummary
from axon_quant.runtime.wiring import Pipeline

_MONEY = Decimal(1_000_000)


class LoadTest:
    """Construct, `run`, read the report; `stop` (from a signal handler, say) ends it after the message at hand.

    `rate` in messages a second, or `speed` as a multiple of the market's own pace; `duration` in seconds. `sla_ms`
    defaults to the configuration's. The messages are read or made at construction: raises MarketDataError, and
    ConfigError where there would be no message.
    """

    def __init__(
        self,
        config: Config,
        *,
        duration: float,
        rate: float | None = None,
        speed: float | None = None,
        recording: Path | None = None,
        sla_ms: float | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> None:
        if (rate is None) == (speed is None):
            raise ValueError("a load test has a rate or a speed, and not both")
        self._config = config
        self._sla = config.operations.latency_sla_ms if sla_ms is None else sla_ms
        made = traffic(config, rate=rate, speed=speed, duration=duration, recording=recording)
        events, offsets, self._notices = made.events, made.offsets, made.notices
        self.planned = len(events)
        """How many messages there are to be."""
        span = offsets[-1] / NANOSECONDS
        self._rate = rate if rate is not None else (len(events) - 1) / span if span else 0.0
        self._market = "generated" if recording is None else str(recording)
        self._built: Pipeline | None = None
        self._loop = OpenLoop(events, offsets, self._decisions, on_progress)
        self._replay: Replay | None = None

    def stop(self) -> None:
        """End after the message at hand; `run` then reports what there is."""
        self._loop.stop()
        if self._replay is not None:
            self._replay.stop()

    def run(self) -> LoadReport:
        """Send every message at its time. Raises what the pipeline raises; JournalError where no file can be made."""
        folder = self._config.journal.path.parent  # the disk that the journal will be on
        try:
            directory = tempfile.TemporaryDirectory(prefix="load-test-", dir=folder if folder.is_dir() else None)
        except OSError as error:
            raise JournalError(
                f"nothing can be written here: {error.strerror}", file=folder, hint="check its permissions and its disk"
            ) from error
        with directory as scratch:
            config = on_paper(self._config, Path(scratch) / "journal.db")
            self._replay = Replay(config, market=self._loop, around=self._watch)
            if self._loop.stopped:
                self._replay.stop()
            return self._report(self._replay.run())

    def _decisions(self) -> int:
        return 0 if self._built is None else self._built.engine.decisions

    @contextmanager
    def _watch(self, built: Pipeline) -> Iterator[None]:
        self._built = built
        yield

    def _report(self, summary: RunSummary) -> LoadReport:
        loop = self._loop
        decision, lateness = loop.decision_latency.quantiles(), loop.lateness.quantiles()
        verdict, reason = judge(decision, lateness, self._sla)
        notices = [*self._notices, *summary.notices]
        if summary.risk_state != "ACTIVE":
            notices.append(f"risk was {summary.risk_state} at the end: later decisions sent no orders")
        seconds = loop.elapsed / NANOSECONDS
        return LoadReport(
            outcome="interrupted" if loop.stopped else "completed",
            verdict=verdict,
            reason=reason,
            sla_ms=self._sla,
            market=self._market,
            rate=round(self._rate, 3),
            achieved_rate=round(loop.messages / seconds, 3) if seconds > 0 else 0.0,
            seconds=round(seconds, 3),
            messages=loop.messages,
            decisions=summary.decisions,
            orders=summary.orders,
            fills=summary.fills,
            rejects=summary.rejects,
            decision_latency_us=decision,
            message_latency_us=loop.message_latency.quantiles(),
            generator_lateness_us=lateness,
            stages_us=summary.latency_us,
            config_sha256=self._config.sha256,
            finished=LiveClock().now(),
            notices=tuple(notices),
        )


def on_paper(config: Config, journal: Path) -> Config:
    """The same run on the paper venue: no key is used, no endpoint served, and no model version kept."""
    exchange, quotes = config.exchange, {entry.quote for entry in config.market.instruments}
    if exchange.name != "paper":
        balances = exchange.balances if any(exchange.balances.values()) else dict.fromkeys(sorted(quotes), _MONEY)
        exchange = attrs.evolve(
            exchange, name="paper", balances=balances, api_key=None, api_secret=None, passphrase=None
        )
    stored = any(model.stored for model in config.models) or (config.rollout is not None and config.rollout.stored)
    return attrs.evolve(
        config,
        exchange=exchange,
        journal=attrs.evolve(config.journal, path=journal, keep_models=False),
        metrics=MetricsConfig(),
        model_store=config.model_store if stored else None,
    )
