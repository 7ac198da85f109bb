"""The settings and the database of this execution environment."""

from pydantic import Json

from mojodex.database import Database, DatabaseSettings


class Settings(DatabaseSettings):
    """Settings of the API.

    Attributes:
        operate_secret_arn: secret with the credentials, see `access`.
        unsubscribe_secret_arn: secret with the keys of the links in mails; without it there is no page.
        queue_urls: of each process, where its messages go.
        schedules: of each process that has one, the name of its schedule's function; and of `redrive`.
        event_source_mappings: of each process, the UUID of what feeds its worker.
        age_alarms: of each process, the alarm that its messages are old.
    """

    operate_secret_arn: str
    unsubscribe_secret_arn: str | None = None
    queue_urls: Json[dict[str, str]]
    schedules: Json[dict[str, str]]
    event_source_mappings: Json[dict[str, str]]
    age_alarms: Json[dict[str, str]]


settings = Settings.from_environment()
database = Database(settings)
