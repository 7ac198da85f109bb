"""Unit, integration, stack and structure tests; see README, Tests."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
