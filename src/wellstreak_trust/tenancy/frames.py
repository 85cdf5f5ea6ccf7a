"""Which frame opens a block: context variables set in a generator's frame leak into whoever consumes it.

A generator has no context of its own (PEP 568 is deferred), so a scope entered in its body is seen by the
consumer at each ``yield``, and interleaved generators restore each other's values. A generator that `contextlib`
resumes is a context manager in disguise: its "consumer" is the block that it serves, and that block is judged instead.
"""

from __future__ import annotations

import contextlib
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR
from types import FrameType
from typing import Final

from ..core.errors import ConfigurationError

__all__ = ["CONTEXTLIB", "ENTER_CONTEXT", "GENERATOR", "refuse_generator"]

GENERATOR: Final = CO_GENERATOR | CO_ASYNC_GENERATOR
ENTER_CONTEXT: Final = contextlib.ExitStack.enter_context.__code__  # enters blocks for its caller
CONTEXTLIB: Final = contextlib.contextmanager.__code__.co_filename


def refuse_generator(frame: FrameType | None, what: str) -> None:
    """Raises `ConfigurationError` when the block that `frame` opens would leak through a ``yield``."""
    while frame is not None:
        code, resumer = frame.f_code, frame.f_back
        if code.co_flags & GENERATOR and code.co_filename != CONTEXTLIB:
            if resumer is None or resumer.f_code.co_filename != CONTEXTLIB:
                raise ConfigurationError(
                    f"{what} entered in the body of a generator leaks into whoever iterates it",
                    hint="enter it around the loop, or make the generator a @contextmanager",
                    reason="scope_in_generator",
                )
        elif code.co_filename != CONTEXTLIB:
            return
        frame = resumer
