"""``python -m limpet``."""

from limpet.cli import main

main()
