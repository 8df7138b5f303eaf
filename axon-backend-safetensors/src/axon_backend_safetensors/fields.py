"""Reading one JSON object strictly: every key is asked for, and what nobody asks for is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from axon_quant.errors import ModelLoadError

Json = Mapping[str, object]


class Fields:
    """An object of a configuration; `where` names it in errors, which are all ModelLoadError."""

    def __init__(self, where: str, value: object) -> None:
        self.where = where
        if not isinstance(value, Mapping):
            raise ModelLoadError(f"{where}: expected an object, found {value!r:.80}")
        self._values = dict(value)
        self._asked: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return self._get(key, None) is not None

    def text(self, key: str, default: str | None = None) -> str:
        value = self._get(key, default)
        if not isinstance(value, str) or not value:
            raise self._wrong(key, "text", value)
        return value

    def equals(self, key: str, value: str) -> bool:
        return self._get(key, None) == value

    def choice(self, key: str, options: Sequence[str], default: str | None = None) -> str:
        value = self._get(key, default)
        if not isinstance(value, str) or value not in options:
            raise self._wrong(key, " or ".join(options), value)
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false", value)
        return value

    def count(self, key: str, default: int | None = None, *, least: int = 1) -> int:
        value = self._get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 1 << 31:
            raise self._wrong(key, f"a whole number of at least {least}", value)
        return value

    def number(self, key: str, default: float) -> float:
        value = self._get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
            raise self._wrong(key, "a number", value)
        return float(value)

    def integer(self, key: str, default: int) -> int:
        value = self._get(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(key, "a whole number", value)
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        value = self._get(key, None)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self._wrong(key, "a list of texts", value)
        return tuple(value)

    def items(self, key: str) -> list[object] | None:
        value = self._get(key, None)
        if value is not None and not isinstance(value, list):
            raise self._wrong(key, "a list", value)
        return value

    def done(self) -> None:
        """Refuse the keys that were not asked for."""
        strangers = sorted(self._values.keys() - self._asked)
        if strangers:
            raise ModelLoadError(
                f"{self.where}: unknown {', '.join(strangers)}; known: {', '.join(sorted(self._asked))}"
            )

    def _get(self, key: str, default: object) -> object:
        self._asked.add(key)
        value = self._values.get(key)
        return default if value is None else value

    def _wrong(self, key: str, expected: str, found: object) -> ModelLoadError:
        if found is None:
            return ModelLoadError(f"{self.where}: {key} is missing, expected {expected}")
        return ModelLoadError(f"{self.where}: {key}: expected {expected}, found {found!r:.80}")
