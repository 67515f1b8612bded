"""How code in a sandbox ended; annotations are no texts, as in :mod:`limpet.sandbox.answers`."""

from typing import NamedTuple

from limpet.sandbox.answers import Raised, Value


class Timings(NamedTuple):
    """Seconds: from asking to the answer, of computing on a processor, and of starting before.

    ``cpu`` is what the kernel has counted by then: of less than a tick of its clock maybe nothing.
    """

    wall: float
    cpu: float
    start: float = 0.0


class Result(NamedTuple):
    """What code wrote, the value of its last expression, and how it ended.

    ``shown`` are its figures that ``plt.show()`` showed, and what it gave to ``display()``.
    ``error`` is the exception that it ended with, ``exit`` the status that it gave to ``sys.exit``;
    both are ``None`` for code that came to its end.
    """

    stdout: str
    stderr: str
    value: Value | None
    error: Raised | None
    exit: int | None
    timings: Timings
    shown: tuple[Value, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it came to its end, or exited with 0."""
        return self.error is None and not self.exit
