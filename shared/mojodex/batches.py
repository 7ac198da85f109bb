"""Split items into requests that are limited in items and in bytes."""

from collections.abc import Callable, Iterable, Iterator


def batches[T](
    items: Iterable[T], size: Callable[[T], int], *, most: int, most_bytes: int
) -> Iterator[list[T]]:
    """Yield batches of the items, in order. An item too large for any batch gets one of its own.

    Args:
        items: any number of them.
        size: returns the bytes of an item.
        most, most_bytes: limits of a batch.
    """
    batch: list[T] = []
    room = most_bytes
    for item in items:
        needed = size(item)
        if batch and (len(batch) == most or needed > room):
            yield batch
            batch, room = [], most_bytes
        batch.append(item)
        room -= needed
    if batch:
        yield batch
