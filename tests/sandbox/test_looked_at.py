"""What a guest has written is looked at in an order by which nothing of it is left out."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limpet.sandbox.exchange import Heard, Limits
from limpet.sandbox.instance import Instance

WRITES = """
import os
os.write(2, b'error'), os.write(1, b'output'), os.write(0, b'word')
os.read(0, 1)
"""

GOES_ON = """
import os
def send(kind, data):
    os.write(1, kind + len(data).to_bytes(4, 'little') + data)
request = os.read(0, 100)
send(b'o', b'output')
os.read(0, 1)
os.write(2, b'error')
send(b'a', b'{"ok": 7, "id": %d}' % eval(request[4:])['id'])
os.write(0, b'done')
os.read(0, 1)
"""


@contextmanager
def guest(code: str) -> Iterator[Instance]:
    """A program of Python's in the place of a bundle."""
    instance = Instance(Path(sys.executable), ["python", "-ISc", code], rewinds=True)
    try:
        yield instance
    finally:
        instance.close()


def test_order() -> None:
    """Its word is looked at first, its errors last: each is said behind what is looked at later."""
    with guest(WRITES) as instance:
        found: list[int] = []
        while len(found) < 3:
            found = [number for number, _ in instance._poll.poll()]
        streams = instance._in, instance._out, instance._err
        assert found == list(instance.numbers) == [each.fileno() for each in streams]
        assert not instance.has_said_no_more()
        for each in instance.numbers[1:]:
            os.read(each, 100)
        assert instance.has_said_no_more()


class Slow:
    """Looks at a guest; what is ready is told when the guest has done all that it does."""

    def __init__(self, instance: Instance) -> None:
        self._instance, self._looks = instance, instance._poll

    def poll(self, patience: float | None = None) -> list[tuple[int, int]]:
        """As that of the instance."""
        ready = self._looks.poll(patience)
        os.write(self._instance.input, b"\n")
        select.select([self._instance.input], [], [])
        return ready


def test_errors_before_an_answer() -> None:
    """They belong to it also where host and guest are as slow as can be."""
    with guest(GOES_ON) as instance:
        vars(instance)["_poll"], heard = Slow(instance), Heard()
        answer = instance.ask({"do": "run"}, Limits(), heard, lambda _: {})
        assert (answer.value, bytes(heard.stdout), bytes(heard.stderr)) == (7, b"output", b"error")
