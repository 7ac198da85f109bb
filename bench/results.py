"""The benches' committed results under bench/results/: figures as JSON and as drawings."""

import json
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench import ROOT

RESULTS = ROOT / "bench" / "results"
# Keep text as text, and make the same figure the same bytes: no random ids, and no date (see below).
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bench"})


def write_json(name: str, data: Any) -> None:
    """Write figures to bench/results/NAME.json.

    Args:
        name: the bench.
        data: values that JSON can hold.
    """
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def write_figure(name: str, figure: Figure) -> None:
    """Write a drawing to bench/results/NAME.svg.

    Args:
        name: the bench.
        figure: made with `Figure(layout="constrained")`, which needs neither a screen nor closing.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None})
    # matplotlib ends lines with spaces, which git reports.
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
