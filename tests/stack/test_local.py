"""What the local runtime gives to a newcomer: variables for other programs, and changed parameters."""

import subprocess

import pytest

from local.runtime import deploy, postgres
from local.runtime.stack import PREFIXES
from tests.stack.conftest import Deployed


def test_psql_takes_the_url_of_the_database(deployed: Deployed) -> None:
    url = deployed.stack.environment()["DATABASE_URL"]

    done = subprocess.run(
        [postgres.INSTALLATION / "bin" / "psql", url, "-tAc", "SELECT current_database()"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == deployed.stack.database.dbname


def test_the_variables_name_the_queue_of_each_process(deployed: Deployed) -> None:
    environment = deployed.stack.environment()

    urls = {process: environment[f"{process.upper()}_QUEUE_URL"] for process in PREFIXES}

    assert urls == {process: deployed.of(process).queue_url for process in PREFIXES}


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("LoadCap", "5", "there is no parameter LoadCap"),
        ("RescheduleTodoLoadCap", "0", "RescheduleTodoLoadCap"),
        ("ModelPrices", "gpt-4.1=2/0.5/8, gpt-5-mini", "must be prices"),
    ],
)
def test_a_parameter_that_the_template_refuses_is_refused_with_its_name(
    deployed: Deployed, name: str, value: str, why: str
) -> None:
    with pytest.raises(deploy.StackError, match=why):
        deploy.deploy(deployed.directory, deployed.stack.endpoint, {name: value})
