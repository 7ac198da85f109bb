"""Measurements of what the bundle promises: `python -m bench.schedule_time`, `.retrieval`, `.cold_start`, ….

Each prints its figures and its bar, and ends with exit code 1 when a figure is over its bar.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# As in a Lambda environment, the layer and the functions are top-level packages.
sys.path[:0] = [str(ROOT / "functions"), str(ROOT / "shared")]
