"""The one error tree. Catch `AxonError` for everything axon raises on purpose.

    AxonError
    ├── ConfigError                    a configuration cannot be used; `.problems` lists every mistake
    ├── PluginError                    a plugin is broken, blocked or ambiguous
    │   ├── PluginMissingError         (also ImportError) the distribution that provides a name is not installed
    │   └── UnsupportedError           a capability that the plugin does not declare was asked for
    ├── MarketDataError                a recording or a feed cannot be read
    │   ├── MalformedMessageError      one message is not what the venue documents
    │   └── UnknownSymbolError         a symbol without an instrument
    ├── ObservationError               no window can be built
    │   └── SchemaMismatchError        the model was trained on other features
    ├── ModelError                     a model cannot be loaded or run
    │   ├── ModelLoadError             missing, unreadable, or not what its configuration says
    │   ├── ModelCheckError            loads, but a check (shape, dtype, finite, hash, golden vectors) fails
    │   ├── ModelInputError            `infer` was given the wrong shape or dtype
    │   └── DeviceError                the device, provider or precision asked for is not there
    ├── EnsembleError                  no member is left, or weights that cannot be used
    ├── StrategyError                  a strategy raised, and the run ends
    ├── OrderError                     an order that cannot be
    │   ├── OrderValueError            (also ValueError) price or quantity is NaN, infinite, zero or negative
    │   └── OrderTransitionError       a status that cannot follow the present one
    ├── ExchangeError                  what a venue answered; `.venue`, `.code`, `.text`
    │   ├── RejectedError              definitive: the order does not exist at the venue
    │   │   └── DuplicateOrderError    the client order id was used before
    │   ├── AmbiguousError             the outcome is unknown until it is looked up
    │   ├── RateLimitedError           the budget is spent; `.retry_after` seconds
    │   ├── ClockError                 our clock and the venue's are too far apart
    │   ├── AuthError                  key, signature or permission
    │   ├── NotFoundError              no such order
    │   └── UnavailableError           the venue is down or the connection is closed
    ├── ExplainError                   an explanation cannot be made
    ├── JournalError                   the journal cannot be written or read
    │   ├── JournalTamperedError       the chain does not hold; `.sequence` names the first bad record
    │   └── JournalLockedError         another process writes to it
    ├── ControlError                   a running process cannot be controlled, or refuses
    │   ├── NotRunningError            no process answers on the control socket
    │   ├── NoAnswerError              there is one, but it does not answer: it may hang
    │   └── AccountLockedError         another process trades on this account
    ├── BackupError                    a backup cannot be made, or is not whole
    └── MetricsError                   the metrics endpoint cannot be served

Every error says what happened, where, and what to do. The keyword arguments of `AxonError` are the "where"; they
become attributes and stand in front of the message.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class AxonError(Exception):
    """Base of every error axon raises on purpose.

    `plugin`, `venue`, `symbol`, `file` and `line` say where it happened; `hint` says what to do. Any of them may be
    None.
    """

    def __init__(
        self,
        message: str,
        *,
        plugin: str | None = None,
        venue: str | None = None,
        symbol: str | None = None,
        file: str | Path | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.plugin = plugin
        self.venue = venue
        self.symbol = symbol
        self.file = None if file is None else str(file)
        self.line = line
        self.hint = hint

    def __str__(self) -> str:
        where = []
        if self.file is not None:
            where.append(self.file if self.line is None else f"{self.file}:{self.line}")
        where += [part for part in (self.plugin, self.venue, self.symbol) if part is not None]
        text = ": ".join([*where, self.message])
        return text if self.hint is None else f"{text} ({self.hint})"


class Problem(NamedTuple):
    """One mistake in a configuration; `key` is its dotted path. str() gives `file:line: key: message`."""

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (where, self.key, self.message) if part)


class ConfigError(AxonError):
    """A configuration cannot be used. `problems` lists every mistake."""

    def __init__(
        self,
        message: str,
        *,
        problems: tuple[Problem, ...] = (),
        file: str | Path | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, file=file, line=line, hint=hint)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *map(str, self.problems)])


class PluginError(AxonError):
    """A plugin is broken, blocked or ambiguous."""


class PluginMissingError(PluginError, ImportError):
    """The distribution that provides a name is not installed. Also an ImportError."""


class UnsupportedError(PluginError):
    """A capability that the plugin does not declare was asked for."""


class MarketDataError(AxonError):
    """A recording or a feed cannot be read."""


class MalformedMessageError(MarketDataError):
    """One message is not what the venue documents."""


class UnknownSymbolError(MarketDataError):
    """A symbol without an instrument."""


class ObservationError(AxonError):
    """No window can be built."""


class SchemaMismatchError(ObservationError):
    """The model was trained on other features than the observation has."""


class ModelError(AxonError):
    """A model cannot be loaded or run."""


class ModelLoadError(ModelError):
    """Missing, unreadable, or not what its configuration says."""


class ModelCheckError(ModelError):
    """The model loads, but a check (shape, dtype, finite, hash, golden vectors) fails."""


class ModelInputError(ModelError):
    """`infer` was given the wrong shape or dtype."""


class DeviceError(ModelError):
    """The device, provider or precision asked for is not there."""


class EnsembleError(AxonError):
    """No member is left, or weights that cannot be used."""


class StrategyError(AxonError):
    """A strategy raised, and the run ends with nothing open. `file` and `line` say where, `__cause__` what it was."""


class OrderError(AxonError):
    """An order that cannot be."""


class OrderValueError(OrderError, ValueError):
    """Price or quantity is NaN, infinite, zero or negative. Also a ValueError."""


class OrderTransitionError(OrderError):
    """A status that cannot follow the present one."""


class ExchangeError(AxonError):
    """What a venue answered: `code` and `text` are the venue's own."""

    def __init__(
        self,
        message: str,
        *,
        venue: str | None = None,
        symbol: str | None = None,
        code: str | None = None,
        text: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, venue=venue, symbol=symbol, hint=hint)
        self.code = code
        self.text = text


class RejectedError(ExchangeError):
    """Definitive: the order does not exist at the venue."""


class DuplicateOrderError(RejectedError):
    """The client order id was used before."""


class AmbiguousError(ExchangeError):
    """The outcome is unknown until it is looked up. Never send the order again."""


class RateLimitedError(ExchangeError):
    """The budget is spent; wait `retry_after` seconds."""

    def __init__(
        self,
        message: str,
        *,
        venue: str | None = None,
        symbol: str | None = None,
        code: str | None = None,
        text: str | None = None,
        hint: str | None = None,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(message, venue=venue, symbol=symbol, code=code, text=text, hint=hint)
        self.retry_after = retry_after


class ClockError(ExchangeError):
    """Our clock and the venue's are too far apart."""


class AuthError(ExchangeError):
    """Key, signature or permission."""


class NotFoundError(ExchangeError):
    """The venue knows no such order."""


class UnavailableError(ExchangeError):
    """The venue is down or the connection is closed."""


class ExplainError(AxonError):
    """An explanation cannot be made."""


class JournalError(AxonError):
    """The journal cannot be written or read."""


class JournalTamperedError(JournalError):
    """The hash chain does not hold; `sequence` names the first bad record of `run`."""

    def __init__(self, message: str, *, file: str | Path, run: int, sequence: int | None) -> None:
        super().__init__(message, file=file)
        self.run = run
        self.sequence = sequence


class JournalLockedError(JournalError):
    """Another process writes to this journal."""


class ControlError(AxonError):
    """A running process cannot be controlled, or refuses."""


class NotRunningError(ControlError):
    """No process answers on the control socket."""


class NoAnswerError(ControlError):
    """There is a process, but it does not answer: it may hang."""


class AccountLockedError(ControlError):
    """Another process trades on this account."""


class BackupError(AxonError):
    """A backup cannot be made, or is not whole."""


class MetricsError(AxonError):
    """The metrics endpoint cannot be served."""
