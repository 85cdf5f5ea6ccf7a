"""Schemes that data cannot describe: each is a `Scheme` with a rule, and read like any other."""

from __future__ import annotations

from typing import Final

from . import adyen, fal, hook0, jwt, parts, paypal, rfc9421, sns, twilio

__all__ = ["SPECIAL"]

SPECIAL: Final = (
    *twilio.SCHEMES,
    *adyen.SCHEMES,
    *parts.SCHEMES,
    *hook0.SCHEMES,
    *sns.SCHEMES,
    *paypal.SCHEMES,
    *jwt.SCHEMES,
    *fal.SCHEMES,
    *rfc9421.SCHEMES,
)
