"""The real packages of agent builders, from PyPI, with a sandbox behind them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.large import large
from tests.support.packages import printed

AGENT = """
import sys
from importlib.metadata import EntryPoint
from smolagents import ChatMessage, CodeAgent, MessageRole, Model, tool
from limpet.sandbox.smolagents import LimpetExecutor

STEPS = [
    "import os\\nfound = search('limpets')\\nprint(found, os.path.exists({path!r}))",
    "while True: pass",
    "1 / 0",
    "search(1)",
    "print(start)\\nfinal_answer([each.upper() for each in search(words='a b')])\\nprint('never')",
]


class Scripted(Model):
    seen = []

    def generate(self, messages, **others):
        text = STEPS[len(self.seen)]
        self.seen.append(str(messages[-1].content))
        return ChatMessage(MessageRole.ASSISTANT, f"<code>\\n{{text}}\\n</code>")


@tool
def search(words: str) -> list:
    '''Search.

    Args:
        words: what for
    '''
    return words.split()


executor = LimpetExecutor(timeout=2)
with CodeAgent([search], Scripted(model_id="scripted"), executor=executor, max_steps=6) as agent:
    agent.logger.level = -1
    answer = agent.run("Find it", additional_args={{"start": 7}})
    print(answer)
seen = Scripted.seen
assert "['limpets'] False" in seen[1], seen[1]
assert "longer than 2 s" in seen[2] and "is gone" in seen[2], seen[2]
assert "ZeroDivisionError" in seen[3], seen[3]
assert "words is a int, not" in seen[4], seen[4]
assert not executor._sandbox.alive
"""

CLIENT = """
import asyncio, sys
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

PICTURE = "class A:\\n    def _repr_png_(self): return b'PNG'\\nA()"

async def main():
    words = ["-m", "limpet", "mcp", "--timeout", "2s"]
    parameters = StdioServerParameters(command=sys.executable, args=words, env=None)
    import os
    parameters.env = dict(os.environ)
    async with Client(stdio_client(parameters)) as client:
        tools = await client.list_tools()
        assert [each.name for each in tools.tools] == ["execute_code"], tools

        async def execute(**given):
            done = await client.call_tool("execute_code", given)
            return [getattr(each, "text", None) or each.data for each in done.content]

        print(await execute(code="x = 20\\nprint('hello')\\nx + 1"))
        print(await execute(code="x"))
        print(await execute(code="x", reset=True))
        print(await execute(code="while True: pass"))
        print(await execute(code=PICTURE))

asyncio.run(main())
"""


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with them, which only these tests see."""
    given = os.environ.get("LIMPET_AGENT_PACKAGES")
    if given:
        return Path(given)
    folder = tmp_path_factory.mktemp("packages")
    argv = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder)]
    subprocess.run([*argv, "mcp>=2", "smolagents"], check=True)
    return folder


def ran(program: str, packages: Path, tmp_path: Path) -> str:
    """What a program of theirs prints."""
    path = tmp_path / "program.py"
    path.write_text(program, encoding="utf-8")
    return printed([sys.executable, path], tmp_path, PYTHONPATH=f"{ROOT / 'src'}:{packages}")


@large
def test_smolagents(packages: Path, tmp_path: Path) -> None:
    """A CodeAgent's steps: output, a limit, an error, a tool that refuses, and its answer."""
    assert ran(AGENT.format(path=__file__), packages, tmp_path).splitlines()[-1] == "['A', 'B']"


@large
def test_mcp(packages: Path, tmp_path: Path) -> None:
    """An MCP client calls the tool: it remembers, forgets, is stopped, and draws."""
    lines = ran(CLIENT, packages, tmp_path).splitlines()
    assert lines[0] == "['hello\\n21']"
    assert lines[1] == "['20']"
    assert "NameError" in lines[2]
    assert "longer than 2 s" in lines[3] and "is gone" in lines[3]
    assert lines[4].endswith("'UE5H']")


def test_without_the_package() -> None:
    """It says what to install."""
    program = "import sys; sys.modules['mcp'] = None; from limpet.cli import main; main()"
    argv = [sys.executable, "-c", program, "mcp"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 125 and "pip install 'mcp>=2'" in done.stderr
    assert "Traceback" not in done.stderr
