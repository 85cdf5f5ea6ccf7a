"""The command line: ``wellstreak-trust``, or ``python -m wellstreak_trust.cli``."""
