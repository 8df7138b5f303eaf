"""What happened, read back from the journal: the page shows nothing that was collected on the side.

Only the price is not in the journal, which records features of it; it comes from the market, which is the same for the
same seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import attrs

from axon_quant.clock import NANOSECONDS
from axon_quant.config import Config
from axon_quant.events import Decision, Event, ModelIdentity, ModelLoaded, OrderPlaced, OrderUpdated, RunStarted
from axon_quant.journal import read
from axon_quant.market import Quote
from axon_quant.orders import Fill, Order, OrderStatus
from axon_quant.portfolio import Portfolio
from axon_quant.runtime.replay import Market
from axon_quant.runtime.wiring import build_instruments

_SIDES = (1, -1, 0)
"""Of buy, sell and hold, the declared order of actions."""
_KINDS = (RunStarted, Decision, OrderPlaced, OrderUpdated, ModelLoaded)


@attrs.frozen
class Moment:
    """The state at one decision: `at` in seconds of market time since the start, `position` in base units.

    Per member: its weight, the side it took (1 buy, -1 sell, 0 neither), and its model's version (0 for a rule).
    """

    at: float
    price: float
    equity: float
    position: float
    weights: tuple[float, ...]
    sides: tuple[int, ...]
    versions: tuple[int, ...]


@attrs.define
class Service:
    """What one version of a member did: when it served (seconds of market time) and how its advice turned out.

    `weight` is its mean weight, `sha256` empty for a rule. Of the decisions in which it took a side and the price then
    moved, `judged` in all, it was `right` in some.
    """

    name: str
    version: int
    sha256: str
    since: float
    until: float
    decisions: int = 0
    judged: int = 0
    right: int = 0
    weight: float = 0.0


@attrs.define
class OrderLife:
    """An order from when it was placed until it ended, in seconds of market time."""

    order: Order
    placed: float
    ended: float
    status: OrderStatus = OrderStatus.Created


@attrs.frozen
class Swap:
    """A model version that began to serve while the run went on."""

    at: float
    before: ModelIdentity
    after: ModelIdentity


@attrs.frozen
class History:
    """One run. `members` name the columns of a `Moment`; `services` are in their order, then by version.

    `fills` are (seconds of market time, fill). `equity` is the exact equity at the end, through the same `Portfolio` as
    in the run.
    """

    symbol: str
    base: str
    quote: str
    initial: Decimal
    equity: Decimal
    members: tuple[str, ...]
    moments: tuple[Moment, ...]
    fills: tuple[tuple[float, Fill], ...]
    orders: tuple[OrderLife, ...]
    swaps: tuple[Swap, ...]
    services: tuple[Service, ...]

    def service(self, name: str, version: int) -> Service | None:
        """What that version of a member did; None if it never decided."""
        return next((one for one in self.services if (one.name, one.version) == (name, version)), None)

    @property
    def seconds(self) -> float:
        """Market time of the last decision."""
        return self.moments[-1].at


def read_history(config: Config, market: Market, start: int) -> History:
    """The last run of the configuration's journal, for its first symbol. `start` is when `market` begins (UTC ns)."""
    return _Reader(config, market, start).read()


class _Reader:
    """Goes through the journal once, with the market beside it."""

    def __init__(self, config: Config, market: Market, start: int) -> None:
        self._path = config.journal.path
        self._start = start
        instruments = build_instruments(config)
        self._instrument = instruments[0]
        self._portfolio = Portfolio(config.exchange.balances, instruments)
        self._mids = _mids(market)
        self._next_mid = next(self._mids)
        self._mid = 0.0
        self._members: tuple[str, ...] = ()
        self._moments: list[Moment] = []
        self._fills: list[tuple[float, Fill]] = []
        self._orders: dict[str, OrderLife] = {}
        self._serving: dict[str, ModelIdentity] = {}
        self._swaps: list[Swap] = []
        self._digests: dict[tuple[str, int], str] = {}
        self._horizon = config.ensemble.horizon_rows

    def read(self) -> History:
        for _, event in read(self._path, kinds=_KINDS):
            self._take(event)
        return History(
            symbol=self._instrument.symbol,
            base=self._instrument.base,
            quote=self._instrument.quote,
            initial=self._portfolio.initial,
            equity=self._portfolio.equity,
            members=self._members,
            moments=tuple(self._moments),
            fills=tuple(self._fills),
            orders=tuple(self._orders.values()),
            swaps=tuple(self._swaps),
            services=tuple(self._services()),
        )

    def _services(self) -> list[Service]:
        """Judged as the ensemble judges: by the move of the price `horizon_rows` later."""
        services: dict[tuple[int, int], Service] = {}
        moments = self._moments
        for number, moment in enumerate(moments):
            later = moments[number + self._horizon] if number + self._horizon < len(moments) else moment
            move = later.price - moment.price
            for key in enumerate(moment.versions):
                index, version = key
                service = services.get(key)
                if service is None:
                    name = self._members[index]
                    digest = self._digests.get((name, version), "")
                    service = services[key] = Service(name, version, digest, moment.at, moment.at)
                service.until = moment.at
                service.decisions += 1
                service.weight += (moment.weights[index] - service.weight) / service.decisions
                if move and moment.sides[index]:
                    service.judged += 1
                    service.right += move * moment.sides[index] > 0
        return [services[key] for key in sorted(services)]

    def _take(self, event: Event) -> None:
        at = (event.at - self._start) / NANOSECONDS
        match event:
            case Decision():
                self._decided(event, at)
            case OrderPlaced(order=order):
                self._orders[order.client_order_id] = OrderLife(order, at, at)
            case OrderUpdated(update=update):
                life = self._orders[update.client_order_id]
                life.ended, life.status = at, update.status
                if update.fill is not None:
                    self._portfolio.apply_fill(update.fill)
                    self._fills.append((at, update.fill))
            case ModelLoaded(model=model):
                self._swaps.append(Swap(at, self._serving[model.name], model))
                self._serving[model.name] = model
            case RunStarted(models=models):
                self._serving = {model.name: model for model in models}

    def _decided(self, decision: Decision, at: float) -> None:
        while self._next_mid[0] < decision.at:
            self._mid = self._next_mid[1]
            self._next_mid = next(self._mids)
        portfolio, symbol = self._portfolio, decision.symbol
        portfolio.mark(symbol, self._mid)
        self._members = tuple(vote.name for vote in decision.members)
        versions = {model.name: model.number for model in decision.models}
        self._digests.update({(model.name, model.number): model.sha256 for model in decision.models})
        votes = decision.members
        self._moments.append(
            Moment(
                at,
                self._mid,
                float(portfolio.equity),
                float(portfolio.position(symbol)),
                tuple([vote.weight for vote in votes]),
                tuple([_SIDES[vote.scores.index(max(vote.scores))] for vote in votes]),
                tuple([versions.get(vote.name, 0) for vote in votes]),
            )
        )


def _mids(market: Market) -> Iterator[tuple[int, float]]:
    """When each quote was received, and its mid; then a time that never comes."""
    for event in market:
        if isinstance(event, Quote):
            yield event.received, event.mid
    yield 2**63 - 1, 0.0
