"""What tests share: bundles, programs, unikernels, and readers of their own."""

from pathlib import Path

SUPPORT = Path(__file__).parent
ROOT = SUPPORT.parents[1]
