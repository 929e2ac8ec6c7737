"""One request to `/v1/chat/completions`, with a time limit and retries. Standard library only."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from tooltune.errors import InputError, JobFailed

KEY = "TOOLTUNE_API_KEY"
"""The environment variable whose value goes along as bearer token, for servers that want one."""
MAX_REPLY = 32 * 2**20
"""Bytes of one reply."""
_PATH = "/chat/completions"
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504}
_LOCAL = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Server:
    """Where and how to ask.

    Attributes:
        url: the server, with or without `/v1` or the whole path.
        timeout: seconds for one answer.
        retries: further tries after a lost connection, a timeout or a busy server; the pause doubles from one second.
    """

    url: str
    timeout: float = 120.0
    retries: int = 4
    pause: Callable[[float], None] = time.sleep

    @property
    def endpoint(self) -> str:
        """The whole address.

        Raises:
            InputError: the URL is none.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(
                f"{self.url!r} is not the address of a server", where="--url", fix="http://localhost:8000/v1"
            )
        url = self.url.rstrip("/")
        if url.endswith(_PATH):
            return url
        return url + _PATH if parts.path.rstrip("/") else f"{url}/v1{_PATH}"

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """The first choice of the server's reply: `{"message", "finish_reason", …}`.

        Raises:
            InputError: the server refuses the request (a model or a parameter that it does not know).
            JobFailed: it cannot be reached, or answers with something else.
        """
        reason = ""
        for attempt in range(self.retries + 1):
            if attempt:
                self.pause(2.0 ** (attempt - 1))
            try:
                return _choice(post_json(self.endpoint, body, self.timeout))
            except HTTPError as e:
                reason = f"HTTP {e.code}: {error_text(e)}"
                if e.code not in _PASSING:
                    fix = f"set {KEY}" if e.code in (401, 403) else "check --url, --model and what the server can do"
                    raise InputError(f"the server refuses: {reason}", where=self.endpoint, fix=fix) from None
            except (URLError, TimeoutError, ConnectionError, HTTPException) as e:
                reason = str(getattr(e, "reason", e)) or type(e).__name__
        tries = f"{self.retries + 1} tries" if self.retries else "one try"
        ask = "see what the server's own log says;" if reason.startswith("HTTP 500") else "is the server running?"
        raise JobFailed(
            f"no answer from {self.endpoint} after {tries}: {reason}",
            fix=f"{ask} what was answered is kept: run the command again to continue",
        )


def post_json(url: str, body: dict[str, Any], timeout: float) -> bytes:
    """What a server answers to a JSON body; on this machine without a proxy, which cannot reach its ports.

    Args:
        timeout: seconds.

    Raises:
        InputError: the key can be none.
        OSError, HTTPException: as urllib raises them; `HTTPError` where the server refuses, see `error_text`.
    """
    headers = {"Content-Type": "application/json"}
    if key := api_key():
        headers["Authorization"] = f"Bearer {key}"
    request = Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - http or https, see `Server.endpoint`
    direct = [ProxyHandler({})] if urlsplit(url).hostname in _LOCAL else []
    with build_opener(_SameServer, *direct).open(request, timeout=timeout) as reply:
        content: bytes = reply.read(MAX_REPLY + 1)
    if len(content) > MAX_REPLY:
        raise HTTPException(f"a reply of more than {MAX_REPLY:,} bytes")
    return content


def api_key() -> str:
    """The value of `KEY`; empty where there is none.

    Raises:
        InputError: no header can have it.
    """
    key = os.environ.get(KEY, "")
    if not (key.isascii() and key.isprintable()):
        raise InputError("a key is one line of ASCII", where=KEY, fix="set another")
    return key


class _SameServer(HTTPRedirectHandler):
    """Follows no redirection: the key would go along to whatever server it names."""

    def redirect_request(self, *args: Any) -> None:
        return None


def _choice(content: bytes) -> dict[str, Any]:
    try:
        text = json.dumps(json.loads(content, parse_constant=_no_constant)["choices"][0], ensure_ascii=False)
        choice = json.loads(text.encode("utf-8", "replace"))  # half a surrogate pair could not be kept
        if isinstance(choice["message"], dict):
            return {"finish_reason": None, **choice}
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        pass
    raise JobFailed(
        f"the reply is not a chat completion: {content[:120].decode('utf-8', 'replace')!r}",
        fix="give the address of an OpenAI-compatible server, e.g. http://localhost:8000/v1",
    )


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def error_text(error: HTTPError) -> str:
    text = error.read(4000).decode("utf-8", "replace")
    try:
        value = json.loads(text)
        found = value.get("error", value) if isinstance(value, dict) else value
        text = str(found.get("message", found) if isinstance(found, dict) else found)
    except ValueError:
        pass
    return " ".join(text.split())[:200] or error.reason
