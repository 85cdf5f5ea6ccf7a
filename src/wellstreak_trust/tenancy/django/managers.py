"""Managers and query sets of tenant models.

The compilers restrict every statement, whoever asks. What is left to a query set is the rows that it has fetched
already: they are kept with a key of who fetched them, and somebody else gets a new statement instead.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from django.db import models

from ...core.errors import CrossTenantRead
from .acting import refuse, who

if TYPE_CHECKING:  # generic in the stubs alone
    _QuerySet = models.QuerySet[Any]
else:
    _QuerySet = models.QuerySet

__all__ = ["TenantManager", "TenantQuerySet"]


class TenantQuerySet(_QuerySet):
    """A query set whose cached rows are shown to the tenant that fetched them, and to nobody else.

    Custom query sets of tenant models derive from it; `TenantManager.from_queryset` and ``as_manager`` take them.
    """

    @property
    def _result_cache(self) -> Any:
        """Django's own cache of fetched rows: iteration, indexing, ``len``, pickling and prefetching all use it."""
        held = self.__dict__["_result_cache"]
        if held is None:
            return None
        if held[0] == who():
            return held[1]
        self._prefetch_done = False
        return None

    @_result_cache.setter
    def _result_cache(self, rows: Any) -> None:
        self.__dict__["_result_cache"] = None if rows is None else (who(), rows)

    def iterator(self, chunk_size: int | None = None) -> Iterator[Any]:
        """As Django's.

        Raises:
            CrossTenantRead: the tenant changed while it was consumed.
        """
        return _pinned(super().iterator(chunk_size))

    def aiterator(self, chunk_size: int = 2000) -> AsyncIterator[Any]:
        """As `iterator`, asynchronously."""
        return _apinned(super().aiterator(chunk_size))


def _pinned(rows: Iterator[Any]) -> Iterator[Any]:
    began: Any = None
    for row in rows:
        began = _same(began)
        yield row


async def _apinned(rows: AsyncIterator[Any]) -> AsyncIterator[Any]:
    began: Any = None
    async for row in rows:
        began = _same(began)
        yield row


def _same(began: Any) -> Any:
    here = who()
    if began is not None and began != here:
        refuse(CrossTenantRead("an iterator is consumed under another tenant", hint="make a new one in each scope"))
    return here


if TYPE_CHECKING:  # checkers do not follow a base class that a call makes
    _Manager = models.Manager[Any]
else:
    _Manager = models.Manager.from_queryset(TenantQuerySet)


class TenantManager(_Manager):
    """The default and base manager of every `TenantModel`."""
