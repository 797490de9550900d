"""Random streams: every number that a step draws follows from the seed, the replicate and the name of its slot.

So adding a step, a treatment or a replicate changes no other number, and all treatments of a replicate draw the same
numbers (common random numbers), which makes their comparison paired.
"""

from __future__ import annotations

import hashlib
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def _digest(seed: int, kind: str, name: int | str) -> bytes:
    text = f"{seed:x} {kind} {name}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).digest()


def replicate_seed(seed: int, identity: int | str) -> int:
    """Give the seed of a replicate, 63 bits from which all its streams follow; the results table shows it.

    An index and a name of the same digits are different replicates.
    """
    kind = "index" if isinstance(identity, int) else "unit"
    return int.from_bytes(_digest(seed, kind, identity)[:8], "little") >> 1


def generator(seed: int, stream: str) -> np.random.Generator:
    """Give the generator of one stream of a replicate.

    >>> generator(7, "split").random() == generator(7, "split").random()
    True
    """
    import numpy as np

    from workflow_assets.seeds import StreamSeed

    words = StreamSeed(_digest(seed, "stream", stream))
    return np.random.Generator(np.random.PCG64(words))  # type: ignore[arg-type] # numpy's stubs know one class only


def integer(seed: int, stream: str) -> int:
    """Give one number of 32 bits for what takes a seed, such as ``random_state`` in scikit-learn.

    >>> 0 <= integer(7, "split") < 2**32
    True
    """
    return int.from_bytes(_digest(seed, "integer", stream)[:4], "little")


_GLOBAL_GENERATORS = threading.RLock()


@contextmanager
def seeded_globals(seed: int, stream: str) -> Iterator[None]:
    """Seed the global generators for one call, and restore them after it.

    One call at a time: the generators are the process's, and a second thread would draw from the first one's stream.
    """
    import numpy as np

    number = integer(seed, stream)
    torch: Any = sys.modules.get("torch")
    with _GLOBAL_GENERATORS:
        python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - what is restored
        tensors = torch.random.get_rng_state() if torch is not None else None
        try:
            random.seed(number)
            np.random.seed(number)  # noqa: NPY002 - what the step asked for
            if torch is not None:
                torch.manual_seed(number)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002
            if torch is not None:
                torch.random.set_rng_state(tensors)


class GlobalGenerator:
    """Watches numpy's global generator, which libraries fall back to where no seed is passed to them.

    A result that depends on it would be computed once and remembered although it cannot be repeated. Looking costs a
    tenth of a microsecond, since it reads the position in the generator's own memory; reading the whole state through
    numpy costs eighty.
    """

    _WORDS = 624  # of a Mersenne Twister's state; its position comes next
    _FRESH = 623  # where it stands until it is drawn from or seeded

    def __init__(self) -> None:
        self._position: Any = None

    def position(self) -> tuple[int, int] | None:
        """Give a mark that changes when numbers are drawn; None while numpy.random is not loaded."""
        if self._position is None:
            legacy = getattr(sys.modules.get("numpy.random"), "mtrand", None)
            if legacy is None:
                return None
            import ctypes

            # The generator lives as long as numpy does, and so does its memory.
            address = legacy._rand._bit_generator.ctypes.state_address  # noqa: SLF001 - numpy names it nowhere else
            self._position = (ctypes.c_uint32 * (self._WORDS + 1)).from_address(address)
        return self._position[self._WORDS], self._position[0]

    def moved(self, before: tuple[int, int] | None) -> bool:
        """Tell whether numbers were drawn since a mark; where numpy.random was loaded meanwhile, since then."""
        now = self.position()
        if before is None:
            return now is not None and now[0] != self._FRESH
        return now != before
