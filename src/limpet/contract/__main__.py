"""``python -m limpet.contract``: print ``docs/hypercalls.md``."""

import sys

from limpet.contract.reference import markdown

sys.stdout.write(markdown())
