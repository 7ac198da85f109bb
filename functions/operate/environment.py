"""The settings and the database of this execution environment."""

from pydantic import Json

from mojodex.database import Database, DatabaseSettings


class Settings(DatabaseSettings):
    """Settings of the API.

    Attributes:
        operate_secret_arn: secret with the credentials; see `access`.
        unsubscribe_secret_arn: secret with the keys of links in mails. Without it, no unsubscribe page.
        queue_urls: by process.
        schedules: function names of schedules and of `redrive`, by process and by "redrive".
        event_source_mappings: UUIDs of the mappings that feed the workers, by process.
        age_alarms: names of the alarms for old messages, by process.
    """

    operate_secret_arn: str
    unsubscribe_secret_arn: str | None = None
    queue_urls: Json[dict[str, str]]
    schedules: Json[dict[str, str]]
    event_source_mappings: Json[dict[str, str]]
    age_alarms: Json[dict[str, str]]


settings = Settings.from_environment()
database = Database(settings)
