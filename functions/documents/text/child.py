"""Read pages in the child process, one at a time, within limits of time and memory (see `child_process`).

A page is HTML, a PDF or a Word document. Its first bytes decide, not its media type.
"""

import json
import resource
import signal
import sys
from collections.abc import Callable, Collection, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from traceback import format_tb
from typing import Any

from documents.file_signatures import is_pdf, is_word
from documents.text.boilerplate import boilerplate_parts
from documents.text.child_process import MEMORY_BYTES, SECONDS, TOO_MUCH
from documents.text.chunks import chunks_of
from documents.text.docx import read_docx
from documents.text.errors import UnreadableError
from documents.text.file_text import FileText
from documents.text.links import canonical, directives, links, refresh
from documents.text.main_text import main_lines
from documents.text.page import line_hashes, parse, title
from documents.text.pdf import read_pdf

# Read first, so that imports do not count towards a page's limits.
EXAMPLE = b"<main><h1>An example</h1><p>This page is read before the first one that counts.</p></main>"
NOINDEX, NOFOLLOW = {"noindex", "none"}, {"nofollow", "none"}


def read_outline(
    body: bytes, charset: str | None, url: str, agent: str, robots_tag: Collection[str]
) -> dict[str, Any] | None:
    """Return the fields of `reader.Outline` as JSON values; None if the page cannot be parsed."""
    if _reader_of_file(body):
        noindex = not NOINDEX.isdisjoint(robots_tag)
        return {"canonical": None, "refresh": None, "links": [], "noindex": noindex, "lines": []}
    tree = parse(body, charset)
    if tree is None:
        return None
    found = {*robots_tag, *directives(tree, agent)}
    return {
        "canonical": canonical(tree, url),
        "refresh": refresh(tree, url),
        "links": [] if found & NOFOLLOW else links(tree, url),
        "noindex": bool(found & NOINDEX),
        "lines": sorted(line_hashes(tree)),
    }


def read_text(
    body: bytes, charset: str | None, repeated: Collection[int], keeps_repeated: bool
) -> dict[str, Any]:
    """Return the fields of `reader.PageText` as JSON values."""
    if read_file := _reader_of_file(body):
        file = read_file(body)
        return {"chunks": chunks_of(file.lines, file.title), "unread_pages": file.unread_pages}
    tree = parse(body, charset)
    if tree is None:
        return {"chunks": []}
    name, hashes = title(tree), frozenset(repeated)
    lines = main_lines(tree, hashes)
    chunks = chunks_of(lines, name)
    if keeps_repeated:
        # In chunks of their own, not below the last heading of the main content.
        for part in boilerplate_parts(tree, hashes):
            chunks += chunks_of((line for line in part if line not in lines), name)
    return {"chunks": list(dict.fromkeys(chunks))}


def _reader_of_file(body: bytes) -> Callable[[bytes], FileText] | None:
    if is_pdf(body):
        return read_pdf
    return read_docx if is_word(body) else None


READS: Mapping[str, Callable[..., Any]] = {"read_outline": read_outline, "read_text": read_text}


def _serve(pipe: Connection) -> None:
    """Answer requests until the pipe is closed."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ready: set[str] = set()
    pipe.send_bytes(b"ready")
    while True:
        try:
            request, body = json.loads(pipe.recv_bytes()), pipe.recv_bytes()
        except EOFError:
            return
        function = request.pop("function")
        if function not in ready:
            _limit_memory(None)
            _answer(READS[function], EXAMPLE, request)
            ready.add(function)
            _limit_memory(MEMORY_BYTES)
        # The signal ends the process even inside a library.
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        answer = _answer(READS[function], body, request)
        signal.setitimer(signal.ITIMER_PROF, 0)
        pipe.send_bytes(json.dumps(answer).encode())


def _answer(function: Callable[..., Any], body: bytes, arguments: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"found": function(body, **arguments)}
    except UnreadableError as error:
        return {"refused": error.reason}
    except MemoryError:
        return {"refused": TOO_MUCH}
    except Exception as error:
        # Its message may quote the page.
        return {"failed": f"{type(error).__name__} at {format_tb(error.__traceback__)[-1]}"}


def _limit_memory(more: int | None) -> None:
    """Limit the address space to this many bytes more than now; None removes the limit."""
    limit = resource.RLIM_INFINITY
    if more is not None:
        pages = Path("/proc/self/statm").read_text().split()[0]
        limit = int(pages) * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
