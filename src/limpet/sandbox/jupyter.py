"""A kernel for Jupyter: cells run in a sandbox, which remembers from one to the next.

Needs ``pip install ipykernel``.  Source: "Messaging in Jupyter" of jupyter_client's documentation.
"""

from __future__ import annotations

import json
import re
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel
from jupyter_client.kernelspec import KernelSpecManager

from limpet.errors import LimpetError, PlanError
from limpet.sandbox.notebook import Notebook, bundle
from limpet.sandbox.result import Result
from limpet.version import __version__

_NAME = re.compile(r"[a-z0-9._-]{1,100}")


class LimpetKernel(Kernel):
    """Runs cells in a sandbox, made with ``given`` when there is the first."""

    given: ClassVar[Mapping[str, Any]] = {}
    implementation = "limpet"
    implementation_version = __version__
    banner = "Python in a sandbox of Limpet's"
    language_info: ClassVar[dict[str, Any]] = {
        "name": "python",
        "mimetype": "text/x-python",
        "file_extension": ".py",
        "pygments_lexer": "ipython3",
        "codemirror_mode": {"name": "ipython", "version": 3},
    }
    _sandbox: Notebook | None = None

    def pre_handler_hook(self) -> None:
        """An interrupt is for the code in the sandbox."""
        self.saved_sigint_handler = signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, *_: object) -> None:
        if self._sandbox is not None:
            self._sandbox.interrupt()

    def do_execute(self, code: str, silent: bool, *others: Any, **more: Any) -> dict[str, Any]:
        """Run a cell, and show what it gives."""
        try:
            if self._sandbox is None:
                self._sandbox = Notebook(**self.given)
            elif not self._sandbox.alive:
                self._sandbox.reset()
            out, err = self._stream("stdout", silent), self._stream("stderr", silent)
            self._sandbox.figures = not silent
            return self._shown(self._sandbox.run(code, on_stdout=out, on_stderr=err), silent)
        except LimpetError as error:
            return self._failed(error)

    def _stream(self, name: str, silent: bool) -> Callable[[str], None]:
        def tell(text: str) -> None:
            if not silent:
                self.send_response(self.iopub_socket, "stream", {"name": name, "text": text})

        return tell

    def _failed(self, error: LimpetError) -> dict[str, Any]:
        """The sandbox was ended, could not be asked, or cannot be made."""
        lost = self._sandbox is not None and not self._sandbox.alive
        more = "what was defined before is gone" if lost else ""
        more = more or (error.hint or "" if self._sandbox is None else "")
        told = f"{error.message}; {more}" if more else error.message
        return self._error(type(error).__name__, told, [told])

    def _error(self, name: str, text: str, lines: Sequence[str]) -> dict[str, Any]:
        content = {"ename": name, "evalue": text, "traceback": list(lines)}
        self.send_response(self.iopub_socket, "error", content)
        return {"status": "error", "execution_count": self.execution_count, **content}

    def _shown(self, result: Result, silent: bool) -> dict[str, Any]:
        for each in () if silent else result.shown:
            content = {"data": bundle(each), "metadata": {}}
            self.send_response(self.iopub_socket, "display_data", content)
        raised = result.error
        if raised:
            return self._error(raised.type, raised.message, raised.traceback.splitlines())
        if result.exit is not None:
            return self._error("SystemExit", str(result.exit), [f"exited with {result.exit}"])
        if result.value is not None and not silent:
            content = {
                "execution_count": self.execution_count,
                "data": bundle(result.value),
                "metadata": {},
            }
            self.send_response(self.iopub_socket, "execute_result", content)
        done: dict[str, Any] = {"payload": [], "user_expressions": {}}
        return {"status": "ok", "execution_count": self.execution_count, **done}

    def do_shutdown(self, restart: bool) -> dict[str, Any]:
        """End the sandbox."""
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None
        return {"status": "ok", "restart": restart}


def install(name: str, words: Sequence[str], prefix: Path | None) -> str:
    """Tell Jupyter of a kernel that is started with ``words``: where that is written.

    Args:
        prefix: an environment; without one it is for this user.

    Raises:
        PlanError: the name is none, or the place cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise PlanError(f"{name!r} is no name of a kernel", hint="small letters, digits, - and _")
    spec = {"argv": list(words), "display_name": f"Python in Limpet ({name})", "language": "python"}
    with tempfile.TemporaryDirectory(prefix="limpet-") as folder:
        (Path(folder) / "kernel.json").write_text(json.dumps(spec, indent=1), encoding="utf-8")
        place = {"prefix": str(prefix)} if prefix else {"user": True}
        try:
            found: str = KernelSpecManager().install_kernel_spec(folder, name, **place)
        except OSError as error:
            raise PlanError(
                f"the kernel cannot be written: {error}", hint="give --prefix of an environment"
            ) from None
    return found


def run(connection: Path, given: Mapping[str, Any]) -> None:
    """Serve until Jupyter ends it.

    Args:
        given: arguments of :class:`limpet.Sandbox`.
    """
    LimpetKernel.given = given
    IPKernelApp.launch_instance(argv=["-f", str(connection)], kernel_class=LimpetKernel)
