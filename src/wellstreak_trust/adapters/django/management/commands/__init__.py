"""``trust_routes``, ``trust_doctor`` and ``trust_verify``."""
