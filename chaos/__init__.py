"""Chaos: the deployed bundle under faults, and the invariants that must hold afterwards."""

import sys
from pathlib import Path

# The import paths of the tests and of a built function.
sys.path[:0] = [str(Path(__file__).parent.parent / folder) for folder in ("functions", "shared")]
