"""Responsible disclosure."""

from ..core.errors import SecurityTxtExpired, SecurityTxtInvalid
from .security_txt import SecurityTxt

__all__ = ["SecurityTxt", "SecurityTxtExpired", "SecurityTxtInvalid"]
