"""Which kind of machine this is, as far as it decides which bits a model computes."""

from __future__ import annotations

import hashlib
import platform
import re
from functools import cache
from pathlib import Path

from msgspec import Struct

_INSTRUCTIONS = re.compile(r"(?:s?sse|avx|fma|f16c|amx|asimd|sve|neon|fphp|bf16|i8mm)\w*|sme(?:2\w*)?")
"""Of a processor's features the ones that compute. The others come and go with the kernel."""


class Machine(Struct, frozen=True):
    """Operating system, processor and the vector instructions it has."""

    system: str
    processor: str
    features: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits; equal on machines that a plan may be carried between."""
        text = "\n".join([self.system, self.processor, *self.features])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return f"{self.processor} ({self.system}, {self.fingerprint})"


@cache
def this_machine() -> Machine:
    """The machine that this process runs on."""
    try:
        information = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        information = ""
    fields: dict[str, str] = {}
    for line in information.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip().lower(), value.strip())
    features = (fields.get("flags") or fields.get("features", "")).split()
    return Machine(
        f"{platform.system()} {platform.machine()}",
        fields.get("model name") or platform.processor() or platform.machine(),
        tuple(sorted({feature for feature in features if _INSTRUCTIONS.fullmatch(feature)})),
    )
