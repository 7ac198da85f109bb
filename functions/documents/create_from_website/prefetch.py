"""Visits pages ahead of their turn, and yields them in their order."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from documents.create_from_website.frontier import Found, Frontier


def in_order[R](
    frontier: Frontier, visit: Callable[[Found], R], may_begin: Callable[[int], bool], threads: int
) -> Iterator[list[tuple[Found, R]]]:
    """Visit the pages of the frontier, which grows meanwhile, and yield them in its order.

    Those that are there already come together. It ends when the frontier is empty, or no page may be begun.

    Args:
        frontier: the pages.
        visit: runs in a thread; what it raises for a page is raised here in that page's turn.
        may_begin: whether another page may be begun while so many are under way.
        threads: how many pages are visited at once.
    """
    running: deque[tuple[Found, Future[R]]] = deque()
    with ThreadPoolExecutor(max_workers=threads) as pool:
        while True:
            while frontier and may_begin(len(running)):
                page = frontier.next()
                running.append((page, pool.submit(visit, page)))
            if not running:
                return
            try:
                visits = [(running[0][0], running.popleft()[1].result())]
                while running and running[0][1].done():
                    visits.append((running[0][0], running.popleft()[1].result()))
                yield visits
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
