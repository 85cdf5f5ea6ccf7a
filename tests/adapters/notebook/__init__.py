"""A Django project of notes, with an API and an admin, for tests that need a project of their own."""
