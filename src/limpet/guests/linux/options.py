"""What is wrong with options whatever the program is: it is said before one is read."""

from __future__ import annotations

from limpet.formats import manifest
from limpet.guests.linux.calls import check_served
from limpet.planning import features
from limpet.planning.options import Options
from limpet.planning.outside import outside


def check(options: Options) -> None:
    """Nothing, or an error for options that no program can have.

    Raises:
        PlanError: a device, a way out, a system call or a feature is none.
    """
    outside(options, manifest.declared(options.devices))
    check_served(options.serve)
    features.check(options)
