"""Thin adapters: facts in, problem out, nothing else. Import the module of your framework."""
