"""Work that runs elsewhere: in another thread, another task, another process.

Inside one process a tenant is *carried*: `propagate` a function, or submit to a `TenantExecutor`. Both capture the
tenant of the caller and raise `NoTenant` where there is none. Across processes nothing can be carried, because what a
queue hands back is bytes that others could write. There a job takes an *envelope* along: `JobEnvelopes` signs who
asked for which task with which arguments, and proves the membership again when the job runs.

Bridges to queues: `tenancy.celery`, `tenancy.rq`, `tenancy.arq`.
"""

from ...core.errors import EnvelopeInvalid
from .arguments import argument_bytes
from .carried import propagate
from .claims import JobClaims, MemoryJobClaims
from .envelopes import JobEnvelopes
from .executor import TenantExecutor
from .ticket import JobTicket

__all__ = [
    "EnvelopeInvalid",
    "JobClaims",
    "JobEnvelopes",
    "JobTicket",
    "MemoryJobClaims",
    "TenantExecutor",
    "argument_bytes",
    "propagate",
]
