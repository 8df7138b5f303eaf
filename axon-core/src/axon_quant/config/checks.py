"""What the fields of a configuration must be to one another. Each check looks at one thing and may see a Draft."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from axon_quant.config import rollout as of_rollout
from axon_quant.config.reader import Check, Mistake, suggestion
from axon_quant.config.rollout import GateEntry, RolloutEntry
from axon_quant.config.schema import Config, ExchangeEntry, InstrumentEntry, MarketConfig, ModelEntry, ObservationConfig


def _base_and_quote_differ(instrument: InstrumentEntry) -> Iterator[Mistake]:
    if instrument.base == instrument.quote:
        yield ("quote",), f"is the same asset as base, {instrument.base!r}"


def _every_symbol_has_an_instrument(market: MarketConfig) -> Iterator[Mistake]:
    instruments = [instrument.symbol for instrument in market.instruments]
    for index, symbol in enumerate(market.symbols):
        if symbol not in instruments:
            hint = suggestion(symbol, instruments) or "; add a [[market.instruments]] for it"
            yield ("symbols", index), f"{symbol!r} has no instrument{hint}"


def _no_instrument_twice(market: MarketConfig) -> Iterator[Mistake]:
    seen: list[str] = []
    for index, instrument in enumerate(market.instruments):
        if instrument.symbol in seen:
            yield ("instruments", index, "symbol"), f"{instrument.symbol!r} has two instruments"
        seen.append(instrument.symbol)


def _silence_is_longer_than_a_row(observation: ObservationConfig) -> Iterator[Mistake]:
    if observation.max_silence_ms < observation.interval_ms:
        yield (
            ("max_silence_ms",),
            f"must be at least interval_ms ({observation.interval_ms}), got {observation.max_silence_ms}",
        )


def _one_source(model: ModelEntry) -> Iterator[Mistake]:
    given = [name for name in ("path", "builtin", "stored") if getattr(model, name) is not None]
    if not given:
        yield (), "needs a path, a builtin or a stored version"
    if len(given) > 1:
        yield (given[-1],), f"{' and '.join(given)} exclude each other; keep one"


def _file_is_there(model: ModelEntry) -> Iterator[Mistake]:
    if model.path is None or model.path.is_file():
        return
    found = "is a folder" if model.path.is_dir() else "does not exist"
    yield ("path",), f"the model file {model.path} {found}"


def _one_action_per_output(model: ModelEntry) -> Iterator[Mistake]:
    if model.actions is not None and model.output_dim is not None and len(model.actions) != model.output_dim:
        yield ("actions",), f"must name each of the {model.output_dim} outputs (output_dim), got {len(model.actions)}"


def _trust_needs_a_pin(model: ModelEntry) -> Iterator[Mistake]:
    if model.trusted and model.sha256 is None:
        yield ("trusted",), "a trusted model may run code, so it needs its sha256 as well"


def _reload_has_something_to_watch(model: ModelEntry) -> Iterator[Mistake]:
    if model.reload and model.builtin is not None:
        yield ("reload",), "a builtin has no file that could be replaced; give a path instead"
    if model.reload and model.sha256 is not None:
        yield (
            ("reload",),
            "sha256 lets no other version serve; leave it out, and pin new versions in a .sha256 file beside the model",
        )


def _paper_needs_money(exchange: ExchangeEntry) -> Iterator[Mistake]:
    if exchange.name == "paper" and not any(exchange.balances.values()):
        yield ("balances",), 'the paper venue needs something to trade with, such as { USDT = "100000" }'


def _keys_come_in_pairs(exchange: ExchangeEntry) -> Iterator[Mistake]:
    if exchange.api_key is not None and exchange.api_secret is None:
        yield ("api_secret",), "required with api_key, but missing"
    if exchange.api_secret is not None and exchange.api_key is None:
        yield ("api_key",), "required with api_secret, but missing"


def _model_names_differ(config: Config) -> Iterator[Mistake]:
    seen: list[str] = []
    for index, model in enumerate(config.models):
        if model.name in seen:
            yield ("models", index, "name"), f"{model.name!r} is the name of another model"
        seen.append(model.name)


def _weights_for_all_or_none(config: Config) -> Iterator[Mistake]:
    weights = [model.weight for model in config.models]
    given = [weight for weight in weights if weight is not None]
    if given and len(given) < len(weights):
        yield ("models", weights.index(None)), "has no weight, but other models have; give one to all or to none"
    elif given and not sum(given) > 0:
        yield ("models", 0, "weight"), "the weights must not all be 0"


def _strategy_file_is_there(config: Config) -> Iterator[Mistake]:
    file, separator, name = config.strategy.name.rpartition(":")
    if not separator:
        if config.strategy.name.endswith(".py"):
            yield ("strategy", "name"), "which class? write 'FILE.py:CLASS'"
    elif file.endswith(".py"):
        if not name.isidentifier():
            yield ("strategy", "name"), f"must be 'FILE.py:CLASS', and {name!r} is no class name"
        if not (config.folder / file).is_file():
            yield ("strategy", "name"), f"the file {config.folder / file} does not exist"


def _journal_is_no_folder(config: Config) -> Iterator[Mistake]:
    if config.journal.path.is_dir():
        yield ("journal", "path"), f"{config.journal.path} is a folder; name a file in it"


def _model_store_is_no_file(config: Config) -> Iterator[Mistake]:
    if config.model_store is not None and config.model_store.path.is_file():
        yield ("model_store", "path"), f"{config.model_store.path} is a file; name a folder"


def _stored_models_have_a_store(config: Config) -> Iterator[Mistake]:
    if config.model_store is not None:
        return
    missing = "needs a [model_store] with the path of its folder"
    for index, model in enumerate(config.models):
        if model.stored is not None:
            yield ("models", index, "stored"), missing
    if config.rollout is not None and config.rollout.stored is not None:
        yield ("rollout", "stored"), missing


def _rollout_fits_the_run(config: Config) -> Iterator[Mistake]:
    rollout = config.rollout
    if rollout is None:
        return
    names = [model.name for model in config.models]
    if rollout.model not in names:
        yield ("rollout", "model"), f"{rollout.model!r} is none of the models{suggestion(rollout.model, names)}"
    known = config.market.symbols if rollout.by == "symbol" else (config.strategy.name,)
    for index, key in enumerate(rollout.keys or ()):
        if key not in known:
            what = "of the symbols that are traded" if rollout.by == "symbol" else f"the strategy, {known[0]!r}"
            yield ("rollout", "keys", index), f"{key!r} is not {'one ' if rollout.by == 'symbol' else ''}{what}"


CHECKS: Mapping[type, tuple[Check, ...]] = {
    InstrumentEntry: (_base_and_quote_differ,),
    MarketConfig: (_every_symbol_has_an_instrument, _no_instrument_twice),
    ObservationConfig: (_silence_is_longer_than_a_row,),
    ModelEntry: (
        _one_source,
        _file_is_there,
        _one_action_per_output,
        _trust_needs_a_pin,
        _reload_has_something_to_watch,
    ),
    ExchangeEntry: (_paper_needs_money, _keys_come_in_pairs),
    GateEntry: (of_rollout.gate_can_be_passed,),
    RolloutEntry: (
        of_rollout.one_candidate,
        of_rollout.trust_needs_a_pin,
        of_rollout.canary_says_where,
        of_rollout.steps_rise,
    ),
    Config: (
        _model_names_differ,
        _weights_for_all_or_none,
        _strategy_file_is_there,
        _journal_is_no_folder,
        _model_store_is_no_file,
        _stored_models_have_a_store,
        _rollout_fits_the_run,
    ),
}
