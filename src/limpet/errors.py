"""Everything that Limpet raises on purpose::

    LimpetError
    ├── InputError          what was given cannot be used (exit status 2)
    │   ├── ImageError      not an ELF file that Limpet can run
    │   ├── TreeError       the file tree cannot be packed
    │   ├── CompileError    the user's C does not compile; carries the compiler's words
    │   ├── ManifestError   limpet.toml is wrong
    │   ├── BundleError     not a bundle, or damaged
    │   ├── PolicyError     the policy file is wrong
    │   └── TraceError      what should be the records of a trace are none
    ├── PlanError           the options or the guest cannot be honoured (2)
    ├── BuildError          the bundle cannot be made or written (1)
    │   ├── ToolchainError  the pinned C toolchain is missing or broken
    │   ├── VersionError    made with other tools than these: it cannot be made again here
    │   └── Outgrown        what stands beside the guest is larger than its plan has it
    ├── HostError           this host does not offer what was asked for (125)
    ├── RunError            the bundle cannot be started (125)
    └── SandboxError        a sandbox has no answer to what it was asked
        ├── NeverRan        nothing of what was asked was done: it may be asked again
        ├── CodeRaised      the function or the request ended with an exception in the guest
        └── OutcomeUnknown  it was begun, and nobody can say how far it came
            ├── Died        the guest ended instead of answering; carries its status
            ├── BadAnswer   what the guest sent is no answer; it was ended
            ├── Killed      somebody ended the sandbox meanwhile
            └── LimitReached
                ├── TimeLimit    it took longer than it may (wall time)
                ├── CpuLimit     it computed longer than it may
                ├── MemoryLimit  it wanted more memory than it has
                └── OutputLimit  it wrote more than it may

The library raises; only the command line prints and exits.
"""

from __future__ import annotations

CANNOT_START = 125
"""Exit status of a bundle, and of the command line, where a guest cannot be started."""


class LimpetError(Exception):
    """What is wrong (``message``), and what to do next (``hint``)."""

    exit_status = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(LimpetError):
    """What was given cannot be used."""

    exit_status = 2


class ImageError(InputError):
    """Not an ELF file that Limpet can run."""


class TreeError(InputError):
    """The file tree cannot be packed."""


class CompileError(InputError):
    """The user's C does not compile; ``output`` is the compiler's."""

    def __init__(self, message: str, *, output: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.output = output


class ManifestError(InputError):
    """``limpet.toml`` is wrong."""


class BundleError(InputError):
    """Not a bundle, or damaged."""


class PolicyError(InputError):
    """The policy file is wrong."""


class TraceError(InputError):
    """What should be the records of a trace are none."""


class PlanError(LimpetError):
    """The options or the guest cannot be honoured."""

    exit_status = 2


class BuildError(LimpetError):
    """The bundle cannot be made or written."""


class ToolchainError(BuildError):
    """The pinned C toolchain is missing or broken."""


class VersionError(BuildError):
    """Made with other tools than these: it cannot be made again here."""


class Outgrown(BuildError):
    """What stands beside the guest is larger than its plan has it."""


class HostError(LimpetError):
    """This host does not offer what was asked for."""

    exit_status = CANNOT_START


class RunError(LimpetError):
    """The bundle cannot be started."""

    exit_status = CANNOT_START


class SandboxError(LimpetError):
    """A sandbox has no answer to what it was asked; ``next_step`` is what to do about its kind."""

    next_step = "call reset(), or make another sandbox"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint or self.next_step)


class NeverRan(SandboxError):
    """Nothing of what was asked was done: it may be asked again, of another sandbox."""

    next_step = "make another sandbox, and ask again: nothing of it was done"


class CodeRaised(SandboxError):
    """The code ended with an exception: its ``type``, ``text`` and ``traceback``, as it sent them.

    What a guest says of itself is text; no class of it is ever made here.  ``message`` has the same
    in short, and fit to be shown; the three are as they were sent.
    """

    next_step = "its traceback says where"

    def __init__(
        self,
        message: str,
        type_: str = "",
        text: str = "",
        traceback: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.type = type_
        self.text = text
        self.traceback = traceback

    def __reduce__(self) -> tuple[type[CodeRaised], tuple[str, str, str, str, str | None]]:
        return CodeRaised, (self.message, self.type, self.text, self.traceback, self.hint)


class OutcomeUnknown(SandboxError):
    """It was begun, and nobody can say how far it came."""


class Died(OutcomeUnknown):
    """The guest ended instead of answering: with ``status``, 128 + N for signal N.

    It is ``None`` where this program has the kernel forget how children end (SIGCHLD ignored).
    """

    def __init__(self, message: str, *, status: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class BadAnswer(OutcomeUnknown):
    """What the guest sent is no answer: it was ended."""

    next_step = "believe nothing that it said; call reset(), or make another sandbox"


class Killed(OutcomeUnknown):
    """Somebody ended the sandbox meanwhile."""


class LimitReached(OutcomeUnknown):
    """The code reached one of its limits; ``stdout`` and ``stderr`` are what it wrote before."""

    next_step = "give it more, or other code; where the guest was ended, call reset()"
    stdout = ""
    stderr = ""


class TimeLimit(LimitReached):
    """It took longer than it may: the guest was ended."""


class CpuLimit(LimitReached):
    """It computed longer than it may: the guest was ended."""


class MemoryLimit(LimitReached):
    """It wanted more memory than the guest has: what it was doing failed there."""

    next_step = "give it more: memory=; numba wants memory that can be run, which is jit=True"


class OutputLimit(LimitReached):
    """It wrote more than it may: the guest was ended."""
