"""Functions of the host's that a guest may call: arguments are checked, and errors carried over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from limpet.errors import PlanError
from limpet.sandbox.answers import ToolCall
from limpet.sandbox.guest.values import encode

if TYPE_CHECKING:
    from limpet.sandbox.checked import Checked

Tool = Callable[..., Any]
_MOST_TEXT = 4096


class Tools:
    """The functions by the names that the guest calls them by.

    Args:
        given: the functions.

    Raises:
        PlanError: a name is none, or a value is no function.
    """

    def __init__(self, given: Mapping[str, Tool]) -> None:
        if not isinstance(given, Mapping):
            raise PlanError(f"tools: {given!r} is no dict", hint='tools={"search": search}')
        for name, tool in given.items():
            if (
                not isinstance(name, str)
                or not name.isidentifier()
                or not name.isascii()
                or not callable(tool)
            ):
                raise PlanError(
                    f"tools: {name!r} is not a function with the name of one",
                    hint='for example tools={"search": search}',
                )
        self._given = dict(given)
        self._known = _checked(given) if given else {}

    @property
    def names(self) -> list[str]:
        """What the guest gets."""
        return sorted(self._given)

    def with_more(self, given: Mapping[str, Tool]) -> Tools:
        """These and others.

        Raises:
            PlanError: as making them.
        """
        return Tools({**self._given, **given})

    def serve(self, asked: ToolCall) -> dict[str, Any]:
        """Call what the guest asks for: the reply for it, an exception too.

        ``SystemExit`` is one: whoever chooses the arguments would else end the host's program.
        What else is no ``Exception``, as Ctrl-C, is for who asked the guest.
        """
        tool = self._known.get(asked.tool)
        if tool is None:
            return _raised(NameError(f"there is no tool {asked.tool}"))
        try:
            return {"ok": encode(tool(asked.arguments, asked.named))}
        except (Exception, SystemExit) as error:
            return _raised(error)


def _raised(error: BaseException) -> dict[str, Any]:
    """The type and text of an exception: where it happened is the host's own."""
    alone = len(error.args) == 1 and isinstance(error.args[0], str)
    try:
        text = error.args[0] if alone else str(error)  # a KeyError would quote it twice
    except Exception:
        text = "an exception without a text"
    return {"raised": [type(error).__name__, text[:_MOST_TEXT]]}


def _checked(given: Mapping[str, Tool]) -> dict[str, Checked]:
    from limpet.sandbox.checked import Checked  # who gives none does without

    return {name: Checked(name, tool) for name, tool in given.items()}
