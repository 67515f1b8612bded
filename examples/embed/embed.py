"""The four verbs from Python: what a program would be given, then its bundle, then a run of it."""

import sys
from pathlib import Path

import limpet
from limpet.contract import Backend
from limpet.planning.explain import as_data

HERE = Path(__file__).parent
PROGRAM = HERE.parent / "wordcount" / "wordcount.c"


def main(backend: Backend) -> None:
    """Count the words of this file in a bundle for ``backend``."""
    options = limpet.Options(backends=(backend,), memory=16 << 20, timeout=5000)
    plan = limpet.plan(limpet.load(PROGRAM), options)

    for decision in as_data(plan)["decisions"]:
        if decision["name"] in ("console_in", "block_read"):
            print(f"{decision['name']}: {decision['why']}")

    bundle = limpet.build(plan)
    result = limpet.run(bundle, stdin=(HERE / "embed.py").read_bytes())
    print(f"status {result.status}: {result.stdout.decode().split()[1]} words")

    try:
        limpet.load("nothing.c")
    except limpet.LimpetError as error:
        print(f"{error.message}; try: {error.hint}")


if __name__ == "__main__":
    main("process" if "process" in sys.argv else "kvm")
