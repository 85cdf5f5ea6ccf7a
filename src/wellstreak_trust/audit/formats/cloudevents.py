"""CloudEvents 1.0 (cloudevents.io) in the JSON format, one object a line.

``source`` and ``id`` together are unique, as the standard demands: the origin names one tenant's tree. Extension
attributes have names of lower-case letters and digits only.
"""

from __future__ import annotations

from typing import Any

from .record import Record, compact

__all__ = ["cloudevents_line", "cloudevents_object"]


def cloudevents_line(record: Record) -> str:
    """The object on one line."""
    return compact(cloudevents_object(record))


def cloudevents_object(record: Record) -> dict[str, Any]:
    """The event; what was recorded is its data, unchanged."""
    subject = next((id for _, id in record.targets() if id), "")
    return {
        "specversion": "1.0",
        "id": record.text("id"),
        "source": record.origin,
        "type": record.text("action"),
        "time": record.text("occurred_at"),
        "datacontenttype": "application/json",
        **({"subject": subject} if subject else {}),
        "sequence": str(record.leaf.seq),
        "tenantid": record.text("tenant_id"),
        "outcome": record.text("outcome"),
        "leafhash": record.leaf_hash,
        "data": dict(record.event),
    }
