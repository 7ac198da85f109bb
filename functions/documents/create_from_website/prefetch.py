"""Visit pages in advance, and yield the results in order."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from documents.create_from_website.frontier import FoundPage, Frontier


def in_order[R](
    frontier: Frontier, visit: Callable[[FoundPage], R], may_begin: Callable[[int], bool], threads: int
) -> Iterator[list[tuple[FoundPage, R]]]:
    """Visit the pages of a frontier, which may grow meanwhile, and yield the results in its order.

    Results that are ready come together. Ends when the frontier is empty, or `may_begin` allows no page.

    Args:
        frontier: the pages.
        visit: runs in a thread; its error for a page is raised here, in order.
        may_begin: whether another page may begin while this many are running.
        threads: how many pages are visited at once.
    """
    running: deque[tuple[FoundPage, Future[R]]] = deque()
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
