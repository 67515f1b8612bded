"""joblib in sandboxes: each call of ``joblib.Parallel`` is made in one of its own.

Needs ``pip install joblib``.  Source: "Custom backend API" of joblib's documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from joblib.parallel import ParallelBackendBase

from limpet.sandbox.executor import SandboxExecutor


class SandboxBackend(ParallelBackendBase):
    """Gives the calls to an executor, as they are: one a batch.

    Args:
        executor: which makes them; it is not closed with this.
        given: what joblib says to every backend.
    """

    supports_retrieve_callback = True
    default_n_jobs = -1

    def __init__(self, executor: SandboxExecutor, **given: Any) -> None:
        super().__init__(**given)
        self._executor = executor

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """As many as the pool has turns, and no more than are wanted."""
        most = self._executor._max_workers
        return most if n_jobs is None or n_jobs < 1 else min(n_jobs, most)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **given: Any) -> int:
        """Nothing is started: the executor has a pool."""
        self.parallel = parallel
        return self.effective_n_jobs(n_jobs)

    def submit(self, func: Any, callback: Callable[[Future[Any]], Any] | None = None) -> Any:
        """Make the calls of a batch, which come back as a list."""
        (made,) = func.items  # a batch has one, unless the user says otherwise
        future = self._executor.submit(made[0], *made[1], **made[2])
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Future[Any]) -> list[Any]:
        """The results of a batch, or what it raises."""
        return [out.result()]

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """What is not made yet is not wanted any more; each sandbox ends with its call."""
