"""An attacker for the tests of hosts: it drives every route as a penetration tester would, and reports like one.

::

    attack = Attacker(
        Target.asgi(app),
        [Person("ada", "acme", {"Cookie": ada}), Person("eve", "evil", {"Cookie": eve})],
        ids={"acme": {"note": "7"}, "evil": {"note": "9"}},
    )
    attack.run().raise_if_any()
"""

from .attacker import Attacker
from .batteries import ATTACKS
from .cast import Burst, Naming, Person, SignIn, WebhookTarget
from .discovery import routes_of
from .finding import Attack, Finding, Severity
from .report import AttackReport, Tried
from .route import Route
from .target import Target, Wire
from .wire import Answer, Exchange, Request

__all__ = [
    "ATTACKS",
    "Answer",
    "Attack",
    "AttackReport",
    "Attacker",
    "Burst",
    "Exchange",
    "Finding",
    "Naming",
    "Person",
    "Request",
    "Route",
    "Severity",
    "SignIn",
    "Target",
    "Tried",
    "WebhookTarget",
    "Wire",
    "routes_of",
]
