"""Implementations of the primitives' store protocols; each driver loads when its module is imported."""
