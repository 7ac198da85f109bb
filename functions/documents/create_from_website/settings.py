"""Settings of the crawler."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from documents.web.fetch import FetchSettings
from mojodex.worker import WorkerSettings


def _name(model: str) -> str:
    # As `name` or `name=deployment`.
    return model.partition("=")[0].strip()


class CrawlSettings(WorkerSettings, FetchSettings):
    """Settings of the crawler.

    Attributes:
        crawl_page_limit: the most pages of a site to store.
        crawl_depth_limit: the most links from the first page to another one.
        crawl_minutes_limit: minutes of reading after which a crawl ends.
        refresh_days: days between two refreshes of a website; 0: never.
        ingest_page_queue_url: the queue for staged pages.
        embedding_model: the name of the model whose vectors ingest_page stores.
    """

    crawl_page_limit: int = Field(ge=1)
    crawl_depth_limit: int = Field(ge=0)
    crawl_minutes_limit: int = Field(ge=1)
    refresh_days: int = Field(ge=0)
    ingest_page_queue_url: str
    embedding_model: Annotated[str, BeforeValidator(_name)]
