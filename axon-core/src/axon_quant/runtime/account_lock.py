"""One run per account: two would each take the other's orders for foreign, and neither keeps the limits."""

from __future__ import annotations

import hashlib
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from axon_quant.errors import AccountLockedError, ControlError
from axon_quant.exchange import ExchangeAdapter
from axon_quant.locks import FileLock, HeldError
from axon_quant.secrets import Secret


def state_folder() -> Path:
    """`$XDG_STATE_HOME/axon`, by default `~/.local/state/axon`: what belongs to this machine's user."""
    given = os.environ.get("XDG_STATE_HOME")
    return (Path(given) if given else Path.home() / ".local" / "state") / "axon"


def lock_account(adapter: ExchangeAdapter, *, key: Secret | None = None) -> AbstractContextManager[object]:
    """Hold the account of `adapter`, or that of another `key` at the same venue; nothing for one without a key.

    The lock file is named after the venue and a hash of its system and the key, and goes with the process. Raises
    AccountLockedError naming the process that holds it.
    """
    config = adapter.config
    if config is None:
        return nullcontext()
    root = os.environ.get(f"AXON_{adapter.name.upper()}_REST_URL") or config.base_urls.get("rest", "")
    identity = "\n".join((adapter.name, str(config.testnet), root, (key or config.api_key).reveal()))
    name = hashlib.sha256(identity.encode()).hexdigest()[:16]
    path = state_folder() / "accounts" / f"{adapter.name}-{name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return FileLock(path, mode=0o600)
    except HeldError as error:
        raise AccountLockedError(
            f"another process (pid {error.holder}) trades on this {adapter.name} account",
            file=path,
            hint="stop it first; two runs on one account need two keys, or better two accounts",
        ) from None
    except OSError as error:
        raise ControlError(
            f"the account cannot be locked: {error.strerror or error}",
            file=path,
            hint="set XDG_STATE_HOME to a folder that is yours",
        ) from error
