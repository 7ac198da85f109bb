"""Which document is a page's. Apart from what makes one, which the crawler need not import."""

from sqlalchemy import ColumnElement

from documents import urls
from mojodex.schema import MdDocument


def of_page(user_id: str, url: str) -> tuple[ColumnElement[bool], ...]:
    """The condition for a user's documents of a page, deleted ones included.

    Args:
        user_id: their author.
        url: normalised.
    """
    return (
        MdDocument.author_user_id == user_id,
        MdDocument.name.in_(urls.names(url)),
        MdDocument.document_type == "webpage",
    )
