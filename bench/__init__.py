"""Measurements of the bundle's speed, cost and quality: `python -m bench.schedule_time`, `.retrieval`, ….

Each prints its figures and their bars. Most exit with 1 if a figure misses its bar.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The layer and the functions are top-level packages, as in a Lambda environment.
sys.path[:0] = [str(ROOT / "functions"), str(ROOT / "shared")]
