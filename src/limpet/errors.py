"""Everything that Limpet raises on purpose::

    LimpetError
    ├── InputError          what was given cannot be used (exit status 2)
    │   ├── ImageError      not an ELF file that Limpet can run
    │   ├── TreeError       the file tree cannot be packed
    │   ├── CompileError    the user's C does not compile; carries the compiler's words
    │   ├── ManifestError   limpet.toml is wrong
    │   ├── BundleError     not a bundle, or damaged
    │   └── PolicyError     the policy file is wrong
    ├── PlanError           the options or the guest cannot be honoured (2)
    ├── BuildError          the bundle cannot be made or written (1)
    │   ├── ToolchainError  the pinned C toolchain is missing or broken
    │   └── VersionError    made with other tools than these: it cannot be made again here
    ├── HostError           this host does not offer what was asked for (125)
    └── RunError            the bundle cannot be started (125)

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


class PlanError(LimpetError):
    """The options or the guest cannot be honoured."""

    exit_status = 2


class BuildError(LimpetError):
    """The bundle cannot be made or written."""


class ToolchainError(BuildError):
    """The pinned C toolchain is missing or broken."""


class VersionError(BuildError):
    """Made with other tools than these: it cannot be made again here."""


class HostError(LimpetError):
    """This host does not offer what was asked for."""

    exit_status = CANNOT_START


class RunError(LimpetError):
    """The bundle cannot be started."""

    exit_status = CANNOT_START
