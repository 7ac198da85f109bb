"""Chaos: the deployed bundle under faults, and a checker that finds what is not true afterwards."""

import sys
from pathlib import Path

# As the tests and a built function see them.
sys.path[:0] = [str(Path(__file__).parent.parent / folder) for folder in ("functions", "shared")]
