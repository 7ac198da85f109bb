"""What an operator sets for the crawler."""

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
        crawl_page_limit: pages of a site that are stored at most.
        crawl_depth_limit: links that lead from the first page to another one at most.
        crawl_minutes_limit: after so many minutes of reading, what was found is all.
        refresh_days: days after which a website is read again; 0: never.
        ingest_page_queue_url: where staged pages go.
        embedding_model: the name of the model whose vectors ingest_page stores.
    """

    crawl_page_limit: int = Field(ge=1)
    crawl_depth_limit: int = Field(ge=0)
    crawl_minutes_limit: int = Field(ge=1)
    refresh_days: int = Field(ge=0)
    ingest_page_queue_url: str
    embedding_model: Annotated[str, BeforeValidator(_name)]
