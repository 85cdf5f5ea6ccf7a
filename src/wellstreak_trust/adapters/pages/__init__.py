"""The operator page under each framework: ``pages.flask``, ``pages.starlette``, ``pages.fastapi``, ``pages.django``.

Each has one function, `operator_page`, that makes what its framework mounts: two routes by GET, the overview and its
sections, both behind one operation.
"""
