"""A hostile OpenID provider for the tests of hosts: real HTTP on loopback, and a switch for every rule it may break."""

from .faults import FAULTS, Fault
from .provider import OpenIdProvider

__all__ = ["FAULTS", "Fault", "OpenIdProvider"]
