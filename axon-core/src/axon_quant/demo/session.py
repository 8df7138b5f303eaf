"""The run behind `axon demo`: a replay like any other, with a model swapped and the metrics scraped on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import attrs

from axon_quant.clock import NANOSECONDS
from axon_quant.config import Config, load_config
from axon_quant.demo.market import HALF_TIME, SECONDS, START, PausingMarket, generated
from axon_quant.demo.models import ModelFiles
from axon_quant.demo.rule import TrendRule
from axon_quant.demo.scraper import Scraper
from axon_quant.errors import ConfigError
from axon_quant.journal import RunReport, verify
from axon_quant.runtime.reloading import HotReload
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.summary import RunSummary
from axon_quant.runtime.wiring import Pipeline, build_instruments

OnProgress = Callable[[Pipeline, float], None]
"""Told the pipeline and the share of the market that has been played, every few hundred events."""

_RELOAD_SECONDS = 20.0


@attrs.frozen
class DemoRun:
    """What the run left behind. `folder` holds the journal, the models and the configuration; `report` says that the
    journal's chain holds; `scraper` has the last answer of the metrics endpoint.
    """

    folder: Path
    config: Config
    summary: RunSummary
    report: RunReport
    scraper: Scraper


class DemoSession:
    """One demo: construct, `run`. Everything it writes goes to `folder`, which is made; a second run there is fine.

    `config` is what it runs, as written to demo.toml in the folder, for anyone to read or to run again.
    Raises ConfigError when the folder cannot be written, and what the pipeline raises.
    """

    def __init__(self, folder: Path, *, seed: int = 1, on_progress: OnProgress | None = None) -> None:
        self._folder = folder
        self._seed = seed
        self._on_progress = on_progress
        try:
            self._models = ModelFiles.write(folder / "models")
            text = (files("axon_quant.demo") / "demo.toml").read_text("utf-8")
            (folder / "demo.toml").write_text(text.replace("seed = 1", f"seed = {seed}", 1), "utf-8")
        except OSError as error:
            place = error.filename or folder
            raise ConfigError(
                f"cannot be written: {error.strerror}", file=place, hint="choose another --out"
            ) from error
        self.config = load_config(folder / "demo.toml")
        self._reload: HotReload | None = None
        self._scraper: Scraper | None = None

    def run(self) -> DemoRun:
        """Trade the whole market, replace the model at half time, and check the journal."""
        rule = TrendRule()
        replay = Replay(
            self.config,
            market=PausingMarket(generated(build_instruments(self.config)[0], self._seed), HALF_TIME, self._swap),
            members={rule.name: rule},
            around=self._around,
            on_progress=self._progress,
        )
        summary = replay.run()
        assert self._scraper is not None  # noqa: S101 - `_around` made it
        (self._folder / "metrics.txt").write_text(self._scraper.text, "utf-8")
        report = verify(self.config.journal.path, logged=[summary.journal_head])[-1]
        return DemoRun(self._folder, self.config, summary, report, self._scraper)

    @contextmanager
    def _around(self, built: Pipeline) -> Iterator[None]:
        """What lives as long as the run: the reloader, and a scraper of the metrics."""
        server = built.metrics.server
        assert server is not None  # noqa: S101 - the demo's configuration has a port
        assert built.plans is not None  # noqa: S101 - every pipeline has them
        record = built.plans.after(built.bus.record)
        self._reload = HotReload(built.backends, record, built.clock, archive=built.archive, debounce=0.1)
        self._scraper = Scraper(server.port)
        with self._reload, self._scraper:
            yield

    def _swap(self) -> None:
        """Half time: the market waits until the new file serves, so that the swap falls on the same event every run."""
        assert self._reload is not None  # noqa: S101 - the market is played inside `_around`
        self._models.swap()
        self._reload.wait_for("flow", timeout=_RELOAD_SECONDS)

    def _progress(self, built: Pipeline) -> None:
        if self._on_progress is not None:
            self._on_progress(built, (built.clock.time - START) / (SECONDS * NANOSECONDS))
