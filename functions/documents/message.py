"""What travels on the queues of documents."""

from typing import Annotated, Literal

from pydantic import Field

from mojodex.messages import Message, PrimaryKey, UserId

CREATE_FROM_WEBSITE = "create_from_website"
INGEST_PAGE = "ingest_page"
UPDATE_DOCUMENT = "update_document"
# Whose all refreshes are for a fair queue: a website that a user asks for does not wait behind them.
REFRESH = "refresh"

# As a user types it: the scheme may be missing. Both are part of keys, for which PostgreSQL has 2,704 bytes.
LONGEST_WEBSITE_URL = 255
WebsiteUrl = Annotated[
    str,
    Field(
        strict=True,
        min_length=1,
        max_length=LONGEST_WEBSITE_URL,
        pattern=r"^[^\s\x00-\x1f\x7f\uFFFE\uFFFF]+$",
    ),
]
RequestId = Annotated[
    str, Field(strict=True, min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f\uFFFE\uFFFF]+$")
]


class CreateFromWebsite(Message):
    """Make documents of a website's pages: `{"user_id": "…", "website_url": "example.com"}`.

    Attributes:
        user_id: whose documents.
        website_url: where to begin; the scheme may be missing. If its first page redirects to another site,
            that one is read.
        scope: "site": all of the site, wherever it begins. "path": only what is below the address; below
            `/docs/index.html` is what is below `/docs/`. Without it: "path" if the address ends with a slash
            behind a path (`example.com/docs/`), else "site" (`example.com`, `example.com/en`).
        refresh: bring what is known of the site up to date: ask for the page of each document that the user
            has of it, let documents go whose page is gone, and look for new pages. Nothing that the user
            deleted comes back. The schedule publishes such messages.
        request_id: what the request is called in the ledger; without it, the time at which the message was
            sent. A message with the same one is the same request.
    """

    user_id: UserId
    website_url: WebsiteUrl
    # Left out where it is not given: a worker of an earlier release does not know it.
    scope: Literal["site", "path"] | None = Field(default=None, exclude_if=lambda scope: scope is None)
    refresh: bool = Field(default=False, strict=True, exclude_if=lambda refresh: not refresh)
    request_id: RequestId | None = None

    @property
    def subject(self) -> str:
        return f"{self.user_id} {self.website_url}"


class IngestPage(Message):
    """Make a document of one page that was fetched: `{"page_pk": 17}`.

    Attributes:
        page_pk: key of the `md_background_page`.
    """

    page_pk: PrimaryKey

    @property
    def subject(self) -> str:
        return str(self.page_pk)


class UpdateDocument(Message):
    """Bring a document up to date: `{"user_id": "…", "document_pk": 5, "edition": "…"}`.

    Attributes:
        user_id: who asks; only the author may.
        document_pk: key of the `md_document`.
        edition: the new text of a document that Mojo has learned; a web page is fetched instead.
    """

    user_id: UserId
    document_pk: PrimaryKey
    edition: Annotated[str, Field(strict=True)] | None = None

    @property
    def subject(self) -> str:
        return str(self.document_pk)
