"""The operator page: ``pages.flask``, ``pages.starlette``, ``pages.fastapi``, ``pages.django``, ``pages.wsgi`` and
``pages.asgi``.

Each has one function, `operator_page`, that makes what is mounted there: by GET, the overview and its sections, both
behind one operation.
"""
