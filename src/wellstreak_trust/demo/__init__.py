"""A small multi-tenant host, protected by this package and attacked over real HTTP.

``python -m wellstreak_trust.demo``
"""
