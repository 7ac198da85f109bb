"""Unit, integration, stack, structure and simulation tests; README.md describes them under "Tests"."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
