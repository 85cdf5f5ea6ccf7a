"""Questions to the trail, in the manner of a code host's search field: ``actor:u1 -action:session.* outcome:denied``.

`grammar` reads a text into a `Query`, `fields` holds the one table of qualifiers, and a `Query` is its own predicate.
A store narrows by what it can (`storage.sql.audit_search`); the predicate over the leaf, which is what was hashed,
decides. So every store gives the same answer, and a changed index column cannot add an event to it.
"""

from .fields import QUALIFIERS, Qualifier
from .grammar import parse
from .model import Clause, Glob, Query, Span
from .search import Page, Searchable, fits, search

__all__ = [
    "QUALIFIERS",
    "Clause",
    "Glob",
    "Page",
    "Qualifier",
    "Query",
    "Searchable",
    "Span",
    "fits",
    "parse",
    "search",
]
