"""The settings that the simulation reads from the template."""

from simulation.deployment import Schedule, Source, deployment


def test_the_figures_are_those_of_the_template() -> None:
    found = deployment()

    worker = found.functions["ExtractTodosWorkerFunction"]
    queue = found.queues["ExtractTodosQueue"]
    assert worker.source == Source("ExtractTodosQueue", batch_size=10, window=5, concurrency=5)
    assert (worker.timeout, worker.handler) == (120, "extract_todos.worker.handler")
    assert (queue.visibility, queue.retention, queue.max_receive_count) == (725, 345_600, 10)
    assert queue.dead_letters == "ExtractTodosDeadLetterQueue"


def test_queues_and_parameters_in_an_environment_are_resolved() -> None:
    environment = deployment().functions["CreateFromWebsiteWorkerFunction"].environment

    assert environment["INGEST_PAGE_QUEUE_URL"] == "https://sqs.example.com/IngestPageQueue"
    assert environment["CRAWL_PAGE_LIMIT"] == "100"
    # The condition is false, so the web app's address is used.
    assert environment["CONTACT_URL"] == "https://app.example.com"


def test_every_schedule_is_simulated_without_retries() -> None:
    schedules = {f.name: f for f in deployment().functions.values() if f.schedule}

    assert schedules["EventsScheduleFunction"].schedule == Schedule(60, on_the_hour=True)
    assert schedules["ExtractTodosScheduleFunction"].schedule == Schedule(10, on_the_hour=False)
    assert {function.retries for function in schedules.values()} == {0}
