"""The messages on the queues of documents."""

from typing import Annotated, Literal

from pydantic import Field

from mojodex.messages import Message, PrimaryKey, UserId

CREATE_FROM_WEBSITE = "create_from_website"
INGEST_PAGE = "ingest_page"
UPDATE_DOCUMENT = "update_document"
# The message group of all refreshes, so that a user's request does not wait behind them.
REFRESH = "refresh"

# As users type it: the scheme may be missing. Address and request id are in keys of at most 2,704 bytes.
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
        user_id: the author of the documents.
        website_url: where to begin; the scheme may be missing. If its first page redirects to another site,
            that one is read.
        scope: "site" is the whole site. "path" is only what is below the address; for `/docs/index.html`,
            below `/docs/`. None means "path" if the address ends with a slash after a path
            (`example.com/docs/`), else "site" (`example.com`, `example.com/en`).
        refresh: update the user's documents of the site: fetch the page of each, remove documents whose page
            is gone, and look for new pages. It restores nothing that the user deleted. The schedule publishes
            such messages.
        request_id: the job's occasion in the ledger; by default, the time at which the message was sent. A
            message with the same one is the same request.
    """

    user_id: UserId
    website_url: WebsiteUrl
    # Left out if not given: a worker of an earlier release does not know the field.
    scope: Literal["site", "path"] | None = Field(default=None, exclude_if=lambda scope: scope is None)
    refresh: bool = Field(default=False, strict=True, exclude_if=lambda refresh: not refresh)
    request_id: RequestId | None = None

    @property
    def subject(self) -> str:
        return f"{self.user_id} {self.website_url}"


class IngestPage(Message):
    """Make a document of a staged page: `{"page_pk": 17}`.

    Attributes:
        page_pk: primary key in `md_background_page`.
    """

    page_pk: PrimaryKey

    @property
    def subject(self) -> str:
        return str(self.page_pk)


class UpdateDocument(Message):
    """Update a document: `{"user_id": "…", "document_pk": 5, "edition": "…"}`.

    Attributes:
        user_id: the document's author; for anybody else, the job fails.
        document_pk: primary key in `md_document`.
        edition: the new text of a document that Mojo has learned; a web page is fetched instead.
    """

    user_id: UserId
    document_pk: PrimaryKey
    edition: Annotated[str, Field(strict=True)] | None = None

    @property
    def subject(self) -> str:
        return str(self.document_pk)
