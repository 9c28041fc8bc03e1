"""Making things in a thread of their own, one ahead of who uses them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T], name: str) -> Iterator[T]:
    """The same items, each made while the one before it is being used.

    Args:
        items: none of which is None.
        name: of the thread.

    Yields:
        Every item, in order; what goes wrong while one is made is raised where it would have come.
    """
    with ThreadPoolExecutor(1, name) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
