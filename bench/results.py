"""What the benches leave under bench/results/, which is committed: figures as JSON, and drawn."""

import json
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench import ROOT

RESULTS = ROOT / "bench" / "results"
# Text stays text, and one figure is the same bytes each time: no random ids, and no date, see below.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bench"})


def write_json(name: str, data: Any) -> None:
    """Write what was measured to bench/results/NAME.json.

    Args:
        name: of the bench.
        data: what JSON knows: dicts with string keys, lists, strings, numbers.
    """
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def write_figure(name: str, figure: Figure) -> None:
    """Write a figure to bench/results/NAME.svg.

    Args:
        name: of the bench.
        figure: made with `Figure(layout="constrained")`, which needs no screen and nothing to be closed.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None})
    # matplotlib ends lines with spaces, which git complains of.
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
