"""The jobs API."""

from tests.integration.operate.conftest import Operated


def test_first_screen(operated: Operated) -> None:
    operated.add_job()
    print(operated.client.get("/jobs").json())
    found = operated.client.get("/console")
    print(found.status, found.body[:300])
    assert found.status == 200
