from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import ways as w

collect_ignore = ["notebook_suites"]  # each plays in a process of its own: see test_notebook


@pytest.fixture(scope="session")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[w.Way]]:
    """All of them, each over a database of its own, with two workspaces: acme (ada, bo) and evil (eve)."""
    plain = (w.flask_way, w.wsgi_way, w.fastapi_way, w.starlette_way, w.asgi_way)
    found = [make(tmp_path_factory.mktemp(make.__name__)) for make in plain]
    found += w.django_ways(tmp_path_factory.mktemp("wsgi"), tmp_path_factory.mktemp("asgi"))
    for way in found:
        furnish(way)
    yield found
    for way in found:
        way.close()


def furnish(way: w.Way) -> None:
    json, own = ("Content-Type", "application/json"), ("Sec-Fetch-Site", "same-origin")
    ada, bo, eve = way.cookie("ada"), way.cookie("bo"), way.cookie("eve")
    assert way.ask("POST", "/workspaces", json, ada, own, body=b'{"id": "acme", "name": "Acme"}').status == 201
    assert way.ask("POST", "/workspaces", json, eve, own, body=b'{"id": "evil", "name": "Evil"}').status == 201
    body = b'{"email": "bo@example.com", "role": "member"}'
    invited = way.ask("POST", "/w/acme/invitations", json, ada, own, body=body)
    token = invited.body.partition(b'"token": "')[2].partition(b'"')[0]
    assert way.ask("POST", "/invitations/accept", json, bo, own, body=b'{"token": "%s"}' % token).status == 200
