"""What every suite is made of: tests with a stable ID, a guard against overriding them, and capabilities to ask for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TypeVar

import attrs
import pytest

from axon_quant.errors import UnsupportedError
from axon_quant.plugins import Capability, Descriptor

KINDS = {"B": "backend", "E": "ensemble", "P": "explainer", "X": "exchange"}
"""First letter of an ID → kind of plugin."""

_MARK = "axon_case"
_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., object])


@attrs.frozen
class Case:
    """One test of a suite, as the listing shows it. An ID is never given to another test, even if this one goes."""

    id: str
    kind: str
    says: str
    capability: Capability | None = None
    skip_when: str = ""


def case(id: str, *, capability: Capability | None = None, skip_when: str = "") -> Callable[[_F], _F]:  # noqa: A002
    """Give a test method its ID, which also starts its name (`test_b010_…`) and its docstring (`B-010: …`)."""

    def mark(test: _F) -> _F:
        prefix = f"test_{id.lower().replace('-', '')}_"
        says = inspect.getdoc(test)
        if not test.__name__.startswith(prefix) or not says:
            raise ValueError(f"{test.__name__}: the test {id} needs a docstring and a name that starts with {prefix}")
        vars(test)[_MARK] = Case(id, KINDS[id[0]], " ".join(says.split()), capability, skip_when)
        test.__doc__ = f"{id}: {says}"
        return test

    return mark


def case_of(test: object) -> Case | None:
    """The case of a test function, if it is one of a suite."""
    found = getattr(test, _MARK, None)
    return found if isinstance(found, Case) else None


class Conformance:
    """Base of the suites. `supplied` names the fixtures that a subclass of the suite may define; the rest is fixed."""

    def __init_subclass__(cls, *, supplied: Iterable[str] | None = None) -> None:
        super().__init_subclass__()
        if supplied is not None:
            _SUPPLIED[cls] = frozenset(supplied)
        guards = [name for name in overridden(cls) if name.endswith("000_nothing_of_the_suite_is_overridden")]
        if guards:
            raise TypeError(f"{cls.__name__} overrides {guards[0]}, which guards the suite")

    @classmethod
    def cases(cls) -> list[Case]:
        """Every test of the suite, in the order of their IDs."""
        found = (case_of(inspect.getattr_static(cls, name)) for name in dir(cls))
        return sorted((item for item in found if item is not None), key=lambda item: item.id)


_SUPPLIED: dict[type[Conformance], frozenset[str]] = {}


def overridden(cls: type[Conformance]) -> list[str]:
    """The parts of its suite that a class (or a mix-in of it) replaces, except for the supplied fixtures."""
    suite = next((base for base in cls.__mro__ if base in _SUPPLIED), None)
    if suite is None:
        return []
    own = {name for base in suite.__mro__[:-1] for name in vars(base) if not name.startswith("__")}
    return sorted(
        name
        for name in own - _SUPPLIED[suite]
        if inspect.getattr_static(cls, name) is not inspect.getattr_static(suite, name)
    )


def ask(descriptor: Descriptor, capability: Capability, call: Callable[[], _T]) -> _T | None:
    """What the call returns if the capability is declared; None if it is not, and the call rightly refuses."""
    if capability in descriptor.capabilities:
        return call()
    try:
        found = call()
    except UnsupportedError:
        return None
    pytest.fail(
        f"{capability.value} is not declared, so asking for it must raise UnsupportedError; it returned {found!r}",
        pytrace=False,
    )
