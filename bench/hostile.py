"""`python -m bench.hostile`: measure the cost of pages, files and answers that were made to be expensive.

A new process reads each page and file (`documents.text.child_process`). Answers come from a server on
loopback, and are fetched in a process of their own. Seconds are CPU time. Megabytes are the process's peak
memory, minus its peak after an example. Refusals print their reason.
"""

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urljoin

from bench.hostile_answers import HOSTILE_ANSWERS, Answer
from bench.hostile_files import HOSTILE_FILES
from bench.hostile_pages import HOSTILE_PAGES
from bench.results import write_json
from documents.text.child import EXAMPLE
from documents.text.child_process import ChildProcess
from documents.text.errors import UnreadableError
from documents.web.errors import FetchError
from documents.web.fetch import Fetched, FetchSettings, fetch
from documents.web.media import PAGES
from documents.web.robots import read_robots
from documents.web.sitemap import read_sitemaps
from mojodex.clock import Deadline

# The bars in seconds and megabytes, unless BARS has others.
BAR = (5.0, 300.0)
# Bars for shapes that once took 18.4 seconds, and 290 to 470 MB.
BARS = {
    **{name: (1.0, 100.0) for name in HOSTILE_PAGES if name.startswith("attributes_")},
    "sitemap_of_elements": (5.0, 60.0),
}
LATER = Deadline(lambda: 900_000)
# How often the peak of a process is read. It cannot be read after the process has ended.
SECONDS_BETWEEN = 0.005
READING: dict[str, dict[str, Any]] = {
    "read_outline": {"charset": None, "url": "https://example.com/a", "agent": "us", "robots_tag": []},
    "read_text": {"charset": None, "repeated": [], "keeps_repeated": True},
}
FETCHING = FetchSettings.model_construct(
    contact_url="https://example.com", page_bytes_limit=5_000_000, fetch_loopback=True
)
PAGES_WANTED = 300
# An address that is slow to match with rules of many stars.
SLOW_ADDRESS = f"https://example.com/{'a' * 2000}"


@dataclass(frozen=True)
class Cost:
    """The cost of a shape.

    Attributes:
        seconds: CPU time.
        megabytes: peak memory above that at the start.
        result: what was found, or the reason of the refusal.
        refused: whether it was refused.
    """

    seconds: float
    megabytes: float
    result: str
    refused: bool


def read(what: str, body: bytes) -> Cost:
    """Let a new process read a body."""
    reader = ChildProcess()
    reader.read(what, EXAMPLE, LATER, **READING[what])
    process = reader._process
    if process is None:
        raise RuntimeError("the process has not started")
    before, peak_before = _seconds(process.pid), _peak(process.pid)
    children = _children_seconds()
    refused = False
    with _watching(process.pid) as peak:
        try:
            result = _summary(reader.read(what, body, LATER, **READING[what]))
        except UnreadableError as error:
            refused, result = True, error.reason
    reader.end()
    return Cost(_children_seconds() - children - before, peak() - peak_before, result, refused)


def _summary(found: dict[str, Any] | None) -> str:
    if found is None:
        return "cannot be parsed"
    if "chunks" in found:
        return f"{len(found['chunks'])} chunks"
    return f"{len(found['links'])} links, {len(found['lines'])} lines"


def answered(name: str, base: str) -> Cost:
    """Fetch an answer in this process, and read it according to its kind."""
    # Only local runs may fetch from loopback.
    os.environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1"
    use = {"sitemap": _sitemap, "robots": _robots}.get(name.partition("_")[0], _page)
    use(f"{base}/example")
    # Reset the peak, which counts from here.
    Path("/proc/self/clear_refs").write_text("5")
    began, peak_before = time.process_time(), _peak(os.getpid())
    refused = False
    try:
        result = use(f"{base}/{name}")
    except FetchError as error:
        refused, result = True, error.reason
    return Cost(time.process_time() - began, _peak(os.getpid()) - peak_before, result, refused)


def _fetch(url: str, bytes_limit: int | None = None, media_types: tuple[str, ...] = ()) -> Fetched:
    slot = nullcontext[None]()
    return fetch(FETCHING, url, bytes_limit=bytes_limit, media_types=media_types, slot=lambda _host: slot)


def _page(url: str) -> str:
    return f"{len(_fetch(url, media_types=PAGES).body)} bytes"


def _sitemap(url: str) -> str:
    def fetch_text(address: str, bytes_limit: int) -> Fetched:
        return _fetch(urljoin(url, address), bytes_limit)

    found = read_sitemaps([url], fetch_text, PAGES_WANTED, lambda address: "other" not in address)
    return f"{len(found)} pages"


def _robots(url: str) -> str:
    robots = read_robots(url, lambda _url, bytes_limit: _fetch(url, bytes_limit))
    return "it allows a page" if robots.allows(SLOW_ADDRESS) else "it forbids a page"


class _Handler(BaseHTTPRequestHandler):
    """Sends the answer that the path begins with."""

    def do_GET(self) -> None:
        build = HOSTILE_ANSWERS.get(self.path.split("/")[1])
        answer = build() if build else Answer(EXAMPLE)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(answer.body)))
        if answer.encoding:
            self.send_header("Content-Encoding", answer.encoding)
        self.end_headers()
        # The client may close the connection before the end.
        with suppress(OSError):
            self.wfile.write(answer.body)

    def log_message(self, *_args: object) -> None:
        """Log nothing."""


@contextmanager
def _server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _peak(pid: int) -> float:
    """Return the peak memory of a process in MB; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


@contextmanager
def _watching(pid: int) -> Iterator[Callable[[], float]]:
    """Watch the peak memory of a process, since it cannot be read after the end."""
    peak, stop = [0.0], Event()

    def watch() -> None:
        while True:
            peak[0] = max(peak[0], _peak(pid))
            if stop.wait(SECONDS_BETWEEN):
                return

    thread = Thread(target=watch)
    thread.start()
    try:
        yield lambda: peak[0]
    finally:
        peak[0] = max(peak[0], _peak(pid))
        stop.set()
        thread.join()


def _seconds(pid: int) -> float:
    """Return the CPU seconds of a running process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children_seconds() -> float:
    """Return the CPU seconds of all ended child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def costs(wanted: Collection[str]) -> Iterator[tuple[str, str, Cost]]:
    """Measure shapes. Yield the name of each, the operation, and its cost.

    Args:
        wanted: parts of names; if empty, all shapes are measured.
    """

    def is_wanted(name: str) -> bool:
        return not wanted or any(part in name for part in wanted)

    for name, build in {**HOSTILE_PAGES, **HOSTILE_FILES}.items():
        if is_wanted(name):
            body = build()
            # Only pages have an outline.
            for what in READING if name in HOSTILE_PAGES else ("read_text",):
                yield name, what, read(what, body)
    context = get_context("spawn")
    with _server() as base:
        for name in filter(is_wanted, HOSTILE_ANSWERS):
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                yield name, "fetch", pool.submit(answered, name, base).result()


def main() -> int:
    """Print the cost of each shape. Return 1 if one exceeds its bar."""
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("shapes", nargs="*", help="measure only shapes whose names contain one of these")
    parser.add_argument("--write", action="store_true", help="write the figures to bench/results/")
    arguments = parser.parse_args()
    found, broken = [], 0
    print(f"{'':46}{'':13}seconds     MB  result")
    for name, what, cost in costs(arguments.shapes):
        seconds, megabytes = BARS.get(name, BAR)
        # A refused body may have used up the reader's limit of 300 MiB, which is 315 MB.
        ok = cost.seconds <= seconds and (cost.megabytes <= megabytes or (cost.refused and name not in BARS))
        broken += not ok
        result = f"refused: {cost.result}" if cost.refused else cost.result
        figures = f"{cost.seconds:7.2f}{cost.megabytes:7.0f}"
        print(f"{'ok  ' if ok else 'FAIL'}  {name:40}{what:13}{figures}  {result}", flush=True)
        rounded = {"seconds": round(cost.seconds, 2), "megabytes": round(cost.megabytes)}
        found.append({"shape": name, "what": what, **asdict(cost), **rounded})
    print(f"\n{len({each['shape'] for each in found})} shapes, {broken} over their bars")
    if arguments.write:
        write_json("hostile", found)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
