"""An executor for smolagents: ``CodeAgent(..., executor=LimpetExecutor())``.

The agent's code runs in a sandbox and remembers; its tools run here, in the host's process, called
with plain data.  Needs ``pip install smolagents``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from smolagents.local_python_executor import CodeOutput, InterpreterError, PythonExecutor

from limpet.errors import LimitReached, SandboxError
from limpet.sandbox.sandbox import Sandbox

_FINAL = "_limpet_final_answer"
_PREPARED = f"""
class FinalAnswer(BaseException):
    pass

def final_answer(*arguments, **named):
    {_FINAL}(*arguments, **named)
    raise FinalAnswer

def _limpet_assign(values):
    globals().update(values)
"""


class LimpetExecutor(PythonExecutor):
    """Runs an agent's code in a sandbox.

    Args:
        given: arguments of :class:`limpet.Sandbox`: ``timeout=30``, ``packages=["numpy"]``.

    Raises:
        LimpetError: the sandbox cannot be made.
    """

    def __init__(self, **given: Any) -> None:
        self._sandbox = Sandbox(**given)
        self._tools: dict[str, Callable[..., Any]] = {}
        self._variables: dict[str, Any] = {}
        self._final: list[Any] = []
        self.state: dict[str, Any] = {"_print_outputs": ""}
        self._prepare()

    def _prepare(self) -> None:
        """Give a new guest what the agent has."""
        self._sandbox.run(_PREPARED)
        self._sandbox.add_tools(self._tools)
        if self._variables:
            self._sandbox.call("_limpet_assign", self._variables)

    def send_tools(self, tools: Mapping[str, Any]) -> None:
        """Let the code call the agent's tools."""
        found = {name: _checked(tool) for name, tool in tools.items() if name != "final_answer"}
        if "final_answer" in tools:
            tool = _checked(tools["final_answer"])

            def final_answer(*given: Any, **named: Any) -> None:
                self._final = [tool(*given, **named)]

            final_answer.__signature__ = inspect.signature(tool)  # type: ignore[attr-defined]
            found[_FINAL] = final_answer
        self._tools |= found
        self._sandbox.add_tools(found)

    def send_variables(self, variables: Mapping[str, Any]) -> None:
        """Define names for the code; values are plain data."""
        self._variables |= variables
        if variables:
            self._sandbox.call("_limpet_assign", dict(variables))

    def __call__(self, code_action: str) -> CodeOutput:
        """Run code of the agent's.

        Raises:
            InterpreterError: it ended with an exception, or at a limit: text for the agent.
        """
        if not self._sandbox.alive:
            self._sandbox.reset()
            self._prepare()
        self._final, self.state["_print_outputs"] = [], ""
        try:
            result = self._sandbox.run(code_action)
        except SandboxError as error:
            written = error.stdout if isinstance(error, LimitReached) else ""
            self.state["_print_outputs"] = written
            lost = "" if self._sandbox.alive else "; what the code had defined is gone"
            raise InterpreterError(f"{error.message}{lost}") from error
        self.state["_print_outputs"] = result.stdout
        if self._final:
            return CodeOutput(self._final[0], result.stdout, True)
        if result.error:
            raise InterpreterError(result.error.traceback)
        value = result.value
        output = None if value is None else value.data if value.is_data else value.text
        return CodeOutput(output, result.stdout, False)

    def cleanup(self) -> None:
        """End the sandbox: the agent calls it at its end."""
        self._sandbox.close()


def _checked(tool: Any) -> Callable[..., Any]:
    """A tool that takes what its ``forward`` takes, and no switches of smolagents' own."""

    def call(*given: Any, **named: Any) -> Any:
        return tool(*given, **named)

    declared = inspect.signature(getattr(tool, "forward", tool), eval_str=True)
    taken = [each for name, each in declared.parameters.items() if name != "self"]  # @tool has it
    call.__signature__ = declared.replace(parameters=taken)  # type: ignore[attr-defined]
    return call
