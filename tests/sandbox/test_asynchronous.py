"""Sandboxes and pools in asyncio: nothing waits in the loop, and what is cancelled is ended."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import pytest

from limpet import AsyncPool, AsyncSandbox, Sandbox, SandboxSnapshot
from limpet.errors import CodeRaised, NeverRan, PlanError
from tests.support.children import children


def test_sandboxes(snapshot: SandboxSnapshot) -> None:
    """Two at a time; what is cancelled is ended, and begins anew after a reset."""

    async def work() -> None:
        told: list[str] = []
        async with AsyncSandbox(snapshot) as one, AsyncSandbox(snapshot) as two:
            results = await asyncio.gather(
                one.run("x = 1\nprint('one')", on_stdout=told.append), two.call("len", "abc")
            )
            assert results[0].stdout == "one\n" and results[1] == 3 and told == ["one\n"]
            await one.put("/a", b"1")
            assert await one.get("/a") == b"1" and "a" in await one.listdir("/")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(one.run("while True: pass"), 0.3)
            with pytest.raises(NeverRan):
                await one.run("1")
            await one.reset()
            assert (await one.run("1")).ok

    asyncio.run(work())


def test_snapshots(sandbox: Sandbox) -> None:
    """Taken and forked without waiting in the loop."""
    snapshot = sandbox.snapshot()

    async def work() -> None:
        async with AsyncSandbox(snapshot) as one:
            await one.run("x = 5")
            (other,) = await one.fork()
            async with other:
                result = await other.run("x")
            assert result.value and result.value.data == 5
            assert (await one.snapshot())._prepared.memory

    asyncio.run(work())


def test_pools(snapshot: SandboxSnapshot) -> None:
    """Each call from the same state, answers in the order of what was given."""

    async def work() -> None:
        async with AsyncPool(snapshot, 1, 2) as pool:
            assert [each async for each in pool.map("pow", range(20), range(20))] == [
                number**number for number in range(20)
            ]
            await pool.run("import sys; sys.left = 1")
            assert not (await pool.run("print(sys.left)")).ok
            with pytest.raises(CodeRaised, match="ValueError"):
                await pool.call("int", "x")
            assert await pool.once(lambda sandbox: sandbox.call("abs", -1)) == 1

    others = children()
    asyncio.run(work())
    assert children() <= others


def test_calls_that_nobody_waits_for(snapshot: SandboxSnapshot) -> None:
    """They are ended, whether they run or wait for a turn, and the next ones are made."""

    async def work() -> None:
        async with AsyncPool(snapshot, 1, 1) as pool:
            begun = time.monotonic()
            with pytest.raises(TimeoutError):
                endless = pool.run("while True: pass"), pool.run("while True: pass")
                await asyncio.wait_for(asyncio.gather(*endless), 0.3)
            with pytest.raises(CodeRaised, match="ValueError"):
                async with aclosing(pool.map("int", ["1", "x", "2"])) as answers:
                    assert [each async for each in answers]
            assert await pool.call("len", "abc") == 3
            assert time.monotonic() - begun < 20  # of the 30 that an endless one would take

    asyncio.run(work())


def test_nobody_waits_for_the_start(snapshot: SandboxSnapshot) -> None:
    """What was on its way is closed before the task ends."""

    async def work() -> None:
        for made in (AsyncSandbox(snapshot), AsyncPool(snapshot, 4)):
            begun = asyncio.ensure_future(made.__aenter__())
            await asyncio.sleep(0)
            begun.cancel()
            with pytest.raises(asyncio.CancelledError):
                await begun
            assert children() <= others

    others = children()
    asyncio.run(work())


@pytest.mark.parametrize("pool", [False, True], ids=["sandbox", "pool"])
def test_nobody_waits_more_than_once(snapshot: SandboxSnapshot, pool: bool) -> None:
    """A task that is cancelled while it ends a start leaves nothing, nor does the end of a loop."""

    def entering() -> asyncio.Task[AsyncSandbox | AsyncPool]:
        made = AsyncPool(snapshot, 2) if pool else AsyncSandbox(snapshot)
        return asyncio.ensure_future(made.__aenter__())

    async def twice() -> None:
        begun = entering()
        for _ in range(3):
            await asyncio.sleep(0)
            begun.cancel()
        with pytest.raises(asyncio.CancelledError):
            await begun
        assert children() <= others

    async def no_more() -> None:
        begun.append(entering())
        await asyncio.sleep(0)

    others, begun = children(), list[asyncio.Task[AsyncSandbox | AsyncPool]]()
    asyncio.run(twice())
    asyncio.run(no_more())
    assert begun[0].cancelled() and children() <= others


def test_not_entered(snapshot: SandboxSnapshot) -> None:
    """Who forgets `async with` is told."""

    async def work() -> None:
        with pytest.raises(RuntimeError, match="async with AsyncPool"):
            await AsyncPool(snapshot).run("1")
        with pytest.raises(RuntimeError, match="async with AsyncSandbox"):
            await AsyncSandbox(snapshot).run("1")
        with pytest.raises(PlanError, match="0 to 1"):
            async with AsyncPool(snapshot, 0, 1):
                raise AssertionError

    asyncio.run(work())
