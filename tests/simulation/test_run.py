"""A short simulation. Each run has its own process, because it patches the bundle's modules."""

import re
import subprocess
import sys

from tests import ROOT

SEED, DAYS = 5, 1


def simulate(*options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "simulation", *map(str, options)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_short_run_keeps_every_promise_and_runs_the_same_way_again() -> None:
    runs = [simulate("--seed", SEED, "--days", DAYS) for _ in range(2)]

    said = [run.communicate()[0] for run in runs]

    assert [run.returncode for run in runs] == [0, 0], said[0]
    assert "0 broken promises" in said[0]
    hashes = [re.findall(r"trace (\w{16})", text) for text in said]
    assert hashes[0] == hashes[1] != []
