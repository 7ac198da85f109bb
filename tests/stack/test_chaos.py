"""The short form of `make chaos`: some faults of each kind under a load of 100 jobs."""

from pathlib import Path

import pytest

from chaos import report
from chaos.checks import broken
from chaos.run import SHORT, run
from local.runtime import deploy

SEED = 20261124


# It has its own stack with shorter times, and needs two minutes.
@pytest.mark.timeout(600)
def test_given_faults_of_every_kind_when_they_end_then_nothing_is_lost_or_doubled(
    tmp_path: Path,
) -> None:
    deploy.build()

    outcome = run(SEED, SHORT, tmp_path / "run", lambda _text: None)

    wrong = broken(outcome.wanted, outcome.found)
    assert not wrong, report.table(report.figures(outcome, wrong))
    assert outcome.breakage.kills.total() >= SHORT.kills
    assert (outcome.breakage.restarts, outcome.breakage.cuts) == (SHORT.restarts, SHORT.cuts)
    assert len(outcome.wanted.executions) > 0
    assert outcome.proxies.doubled > 0
    assert any(job.occasion.startswith("refresh") for job in outcome.found.jobs)
