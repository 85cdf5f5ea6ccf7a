"""One person's client, and what came back to it."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .host import PASSWORD


@dataclass(frozen=True)
class Answer:
    """What came back over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()

    @property
    def json(self) -> Any:
        """The body as JSON, or None."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def code(self) -> str:
        """The problem code, or ``ok``."""
        found = self.json
        return found.get("code", "ok") if isinstance(found, dict) else "ok"


@dataclass(frozen=True)
class Step:
    """One row of the table."""

    chapter: str
    tried: str
    control: str
    wanted: str
    happened: str

    @property
    def held(self) -> bool:
        """Whether what happened is what was wanted."""
        return self.wanted == self.happened


class Browser:
    """One person's client: keeps cookies and says where its requests come from."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url: str = url
        self._host: str = parts.hostname or ""
        self._port: int = parts.port or 80
        self._jar: dict[str, str] = {}

    @property
    def cookie(self) -> str:
        """What it sends as Cookie."""
        return "; ".join(f"{name}={value}" for name, value in self._jar.items())

    def keep(self, answer: Answer) -> Answer:
        """Keeps the cookies of an answer, and gives up those that it takes back."""
        for line in answer.cookies:
            name, _, value = line.partition(";")[0].partition("=")
            self._jar.pop(name, None)
            if "Max-Age=0" not in line:
                self._jar[name] = value
        return answer

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request; `headers` override what a page of the host itself would send."""
        sent = {"Origin": self.url, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
        if self.cookie:
            sent["Cookie"] = self.cookie
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        connection = http.client.HTTPConnection(self._host, self._port, timeout=10)
        try:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
            connection.request(method, path, raw, {name: value for name, value in sent.items() if value})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            cookies = tuple(response.headers.get_all("Set-Cookie") or ())
            return Answer(response.status, found, response.read(), cookies)
        finally:
            connection.close()

    def sign_in(self, name: str, password: str = PASSWORD) -> Answer:
        """Signs in and keeps the cookie."""
        return self.keep(self.ask("POST", "/signin", {"email": f"{name}@example.com", "password": password}))

    def come_back(self, callback: str) -> Answer:
        """Follows a provider's redirect back to the host, as a browser that comes from elsewhere."""
        path = callback.removeprefix(self.url)
        return self.keep(self.ask("GET", path, Origin="", Sec_Fetch_Site="cross-site", Content_Type=""))
