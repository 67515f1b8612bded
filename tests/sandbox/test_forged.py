"""A guest that forges its answers, as code in it can: the host gets one error, and ends it."""

from __future__ import annotations

import select
import time

import pytest

from limpet import Sandbox
from limpet.errors import BadAnswer, CodeRaised, LimpetError, TimeLimit
from limpet.sandbox.instance import Instance

LINE = """\
import os, json
line = 901
def send(kind, data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    os.write(line, kind + len(data).to_bytes(4, 'little') + data)
"""
"""What the agent has, the code has too: its descriptor, for one."""

FORGED = {
    "kind": "os.write(line, b'pickle')",
    "length": "os.write(line, b'a' + b'\\xff' * 4)",
    "pickle": "import pickle; send(b'a', pickle.dumps(print))",
    "another answer": "send(b'a', {'id': 99, 'ok': None})",
    "no answer": "send(b'a', {'id': 1, 'ok': 1, 'exit': 0})",
    "value": "send(b'a', {'id': 1, 'ok': {'text': 1, 'mime': {}}})",
    "data": "send(b'a', {'id': 1, 'ok': {'text': '', 'mime': {}, 'data': {'$': ['eval', '1']}}})",
    "depth": "send(b'a', b'[' * 1000000)",
    "tool": "send(b'c', {'id': 1, 'tool': '__import__', 'arguments': 1})",
    "memory": "send(b'm', b'')",
    "memory of a length": "send(b'm', b'1')",
    "noise": "while True: os.write(line, os.urandom(4096))",
}


def instance(sandbox: Sandbox) -> Instance:
    """Its guest."""
    assert isinstance(sandbox._instance, Instance)
    return sandbox._instance


@pytest.mark.parametrize("code", FORGED.values(), ids=FORGED)
def test_forged(sandbox: Sandbox, code: str) -> None:
    """One error for every kind of forgery."""
    sandbox.reset()
    sandbox._tools._known.clear()
    number = instance(sandbox)._number + 1
    with pytest.raises(BadAnswer):
        sandbox.run(LINE + code.replace("'id': 1,", f"'id': {number},"))
    assert not sandbox.alive


def test_what_a_call_gives(sandbox: Sandbox) -> None:
    """Files and names are what they are said to be."""
    number = instance(sandbox)._number + 2
    sandbox.run(
        f"{LINE}import builtins\nreal = open\n"
        "def forged(*arguments):\n"
        f"    send(b'a', {{'id': {number}, 'ok': [1]}})\n"
        "    return real(*arguments)\n"
        "builtins.open = forged"
    )
    with pytest.raises(BadAnswer):
        sandbox.get("/dev/null")


def test_a_tool_that_is_none(sandbox: Sandbox) -> None:
    """It can ask for the functions that it was given alone."""
    number = instance(sandbox)._number + 1
    code = LINE + f"send(b'c', {{'id': {number}, 'tool': 'eval', 'arguments': [['1'], {{}}]}})\n"
    answer = sandbox.run(code + "os.read(900, 4), json.loads(os.read(900, 1000))").value
    assert answer and answer.data[1] == {"raised": ["NameError", "there is no tool eval"]}


def test_answers_that_nobody_reads(sandbox: Sandbox) -> None:
    """A guest that calls and never reads what it gets does not fill the host's memory."""
    number = instance(sandbox)._number + 1
    call = f"send(b'c', {{'id': {number}, 'tool': 'add', 'arguments': [[1], {{}}]}})"
    with pytest.raises(BadAnswer, match="before it has read"):
        sandbox.run(f"{LINE}while True: {call}", timeout=30)


TOLD = {
    "more than there is": "while True: os.write(line, b'\\1' * 16 + b'\\0' * 65536)",
    "a piece that is too long": "os.write(line, b'\\0' * 15 + b'\\x7f')",
    "zeros for ever": "while True: os.write(line, (b'\\0' * 15 + b'\\x80') * 4096)",
    "twice": "os.write(line, b'\\0' * 16); send(b'm', b'')",
    "never": "",
}


@pytest.mark.parametrize("code", TOLD.values(), ids=TOLD)
def test_memory_that_is_none(sandbox: Sandbox, code: str) -> None:
    """What a guest tells of its memory is counted, and comes once, where it was asked for."""
    prepared = sandbox._prepared
    assert prepared
    number = instance(sandbox)._number + 2
    begun = "send(b'm', b'')\n    " if code else ""
    sandbox.run(
        f"{LINE}import gc\n"
        "def told(*of):\n"
        f"    {begun}{code}\n"
        f"    send(b'a', {{'id': {number}, 'ok': None}})\n"
        "channel, = [each for each in gc.get_objects() if type(each).__name__ == 'Channel']\n"
        "channel.tell_memory = told"
    )
    prepared.most = 1 << 20
    with pytest.raises(BadAnswer):
        sandbox.snapshot()
    assert not sandbox.alive


def test_errors_for_ever(sandbox: Sandbox) -> None:
    """Time is looked at, however fast a guest writes what nobody has to count."""
    sandbox._limits = type(sandbox._limits)(1, 0, 0)
    end, more = time.monotonic() + 15, select.poll()
    more.register(instance(sandbox)._err, select.POLLIN)

    def told(_: str) -> None:
        more.poll(5000)  # as if it were faster than whoever reads: there always is some
        assert time.monotonic() < end, "nobody has looked at the time"

    with pytest.raises(TimeLimit):
        sandbox.run("import os\nwhile True: os.write(2, b'x' * 65536)", on_stderr=told)


def test_an_exception_of_its_own(sandbox: Sandbox) -> None:
    """What it raises is text here, whatever it is called."""
    sandbox.run(
        "class KeyboardInterrupt(BaseException): pass\n"
        "def f(): raise KeyboardInterrupt('x' * 10_000_000)"
    )
    with pytest.raises(CodeRaised) as caught:
        sandbox.call("f")
    assert isinstance(caught.value, LimpetError) and len(caught.value.text) <= 1 << 20
