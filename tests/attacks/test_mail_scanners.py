"""Mail scanners open every link, before its reader does and more than once: nothing may be burnt, nobody signed in.

Over a real Flask application: GET shows a form, POST acts.
"""

from __future__ import annotations

import pytest
from flask import Flask, request

from people import Accounts, Letterbox, Person
from wellstreak_trust.core import TrustError
from wellstreak_trust.identity import (
    EmailVerification,
    MagicLinks,
    MemoryOneTimeTokenStore,
    MemorySessionStore,
    SessionManager,
)

ADDRESS = "ada@example.org"


@pytest.fixture
def letters():
    return Letterbox()


@pytest.fixture
def app(letters):
    accounts, store = Accounts(u1=Person(ADDRESS)), MemoryOneTimeTokenStore()
    sessions = SessionManager(MemorySessionStore())
    links = MagicLinks(store, accounts, sessions=sessions, mailer=letters)
    proofs = EmailVerification(store, accounts, sessions=sessions, mailer=letters)
    app = Flask("mail")
    app.register_error_handler(TrustError, lambda error: (error.problem(), error.status))

    @app.post("/ask")
    def ask():
        answer = app.make_response("Mail sent")
        answer.headers["Set-Cookie"] = links.begin(request.form["address"]).header()
        return answer

    @app.get("/sign-in")
    def page():
        links.peek(request.args["token"])
        return "<form method=post>"

    @app.post("/sign-in")
    def sign_in():
        found = links.complete(request.args["token"], request.cookies.get(links.cookie_name))
        answer = app.make_response(found.user_id)
        answer.headers["Set-Cookie"] = sessions.open(found.user_id).cookie.header()
        return answer

    @app.route("/verify", methods=["GET", "POST"])
    def verify():
        if request.method == "POST":
            return proofs.confirm(request.args["token"]).user_id
        return proofs.peek(request.args["token"])

    app.accounts, app.proofs = accounts, proofs
    return app


def browser(app):
    return app.test_client()


def ask(app, client):
    assert client.post("/ask", data={"address": ADDRESS}, base_url="https://app.example.org").status_code == 200


@pytest.mark.asvs("3.5.3", "7.6.2")
def test_a_scanner_neither_burns_the_link_nor_gets_a_session(app, letters):
    reader, scanner = browser(app), browser(app)
    ask(app, reader)
    link = {
        "path": "/sign-in",
        "query_string": {"token": letters.last.token.reveal()},
        "base_url": "https://app.example.org",
    }
    for method in ("get", "head", "get", "get"):
        answer = getattr(scanner, method)(**link)
        assert (answer.status_code, answer.headers.get("Set-Cookie")) == (200, None)
    eager = scanner.post(**link)  # some even submit the forms they find
    assert (eager.status_code, eager.headers.get("Set-Cookie")) == (401, None)
    answer = reader.post(**link)
    assert answer.text == "u1"
    assert answer.headers["Set-Cookie"].startswith("__Host-ws_session=wss_")
    assert reader.post(**link).status_code == 401


def test_opening_proves_nothing(app, letters):
    app.proofs.begin("u1")
    link = {"path": "/verify", "query_string": {"token": letters.last.token.reveal()}}
    for _ in range(3):
        assert browser(app).get(**link).text == "u1"
        assert not app.accounts.people["u1"].verified
    assert browser(app).post(**link).text == "u1"
    assert app.accounts.people["u1"].verified
    assert browser(app).get(**link).status_code == 401


def test_a_forwarded_mail_signs_nobody_else_in(app, letters):
    """Nor does the attacker's own link sign the victim in as the attacker: the victim's browser never asked."""
    asker, stranger = browser(app), browser(app)
    ask(app, asker)
    forwarded = letters.last.token.reveal()
    ask(app, stranger)
    answer = stranger.post(f"/sign-in?token={forwarded}", base_url="https://app.example.org")
    assert answer.status_code == 401
