"""HTTP to the paper venue's process: one signed call, one answer or an error of the tree in trading/core/errors.py.

Nothing is ever sent twice. What may have arrived and has no readable answer is an unknown outcome if it was to change
something (`write`), and an unavailable venue if it was a question.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import requests
import urllib3
from pydantic import TypeAdapter

from exchanges.adapters.paperwire.parse import Unreadable, read_answer
from exchanges.adapters.paperwire.sign import headers
from trading.core.errors import (
    CredentialRejected,
    InvalidInput,
    OutcomeUnknown,
    RateLimited,
    VenueError,
    VenueUnavailable,
)

T = TypeVar("T")
CONNECT_S, READ_S, WHOLE_S = 2.0, 5.0, 10.0  # to connect; silence; the whole answer, however it dribbles in
MOST_BYTES = 16 * 2**20
ERROR = TypeAdapter(dict[str, str])  # code, message
_PATIENCE_S = (0.1, 1.0, 3600.0)  # after "too many": least, when the venue doesn't say, most


class Client:
    """One key at the venue. `now_ms` is wall time, `seconds` rises steadily; `session` belongs to one thread."""

    def __init__(
        self,
        session: requests.Session,
        url: str,
        key: str,
        secret: str,
        now_ms: Callable[[], int],
        seconds: Callable[[], float],
        read_s: float = READ_S,
    ) -> None:
        self._session, self._url = session, url.rstrip("/")
        self._key, self._secret = key, secret
        self._now_ms, self._seconds = now_ms, seconds
        self._read_s = read_s

    def call(self, path: str, body: bytes, kind: TypeAdapter[T], *, write: bool) -> T:
        """Send one call and read its answer.

        Raises OutcomeUnknown (`write`), VenueUnavailable, RateLimited, CredentialRejected, or InvalidInput.
        """
        return self._ask("POST", path, body, kind, write=write)

    def get(self, path: str, kind: TypeAdapter[T], *, wait_s: float = 0.0) -> T:
        """Ask a question without a body; `wait_s` is how long the venue may take on purpose. Raises VenueError."""
        return self._ask("GET", path, b"", kind, wait_s=wait_s)

    def _ask(
        self, verb: str, path: str, body: bytes, kind: TypeAdapter[T], *, write: bool = False, wait_s: float = 0.0
    ) -> T:
        until = self._seconds() + WHOLE_S + wait_s
        try:
            with self._session.request(
                verb,
                self._url + path,
                data=body,
                headers=headers(self._key, self._secret, path, self._now_ms(), body),
                timeout=(CONNECT_S, self._read_s + wait_s),
                allow_redirects=False,
                stream=True,
            ) as answer:
                raw = self._body(answer, until)
                return _judged(answer, raw, kind, write=write)
        except requests.exceptions.RequestException as error:
            if _never_sent(error):
                raise VenueUnavailable(f"the venue at {self._url} can't be reached") from error
            raise _lost(write, f"no answer to {path}: {type(error).__name__}") from error
        except (urllib3.exceptions.HTTPError, Unreadable) as error:
            raise _lost(write, f"no usable answer to {path}: {error}") from error

    def _body(self, answer: requests.Response, until: float) -> bytes:
        """Read the body piece by piece as it comes, within a time and a size."""
        parts, size = [], 0
        while part := answer.raw.read1(65_536, decode_content=False):
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES or self._seconds() > until:
                raise Unreadable("the answer is too long, or came too slowly")
        return b"".join(parts)


def _never_sent(error: requests.exceptions.RequestException) -> bool:
    """Say whether not even a connection came about."""
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.InvalidURL):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


def _lost(write: bool, text: str) -> VenueError:
    return OutcomeUnknown(text) if write else VenueUnavailable(text)


def _judged(answer: requests.Response, raw: bytes, kind: TypeAdapter[T], *, write: bool) -> T:
    """Return what an answer says. Only the venue's own words refuse: a page of something between us decides nothing."""
    if answer.status_code == 429:
        raise RateLimited("the venue asks for patience", retry_after_s=_patience(answer.headers.get("Retry-After", "")))
    if answer.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
        raise Unreadable(f"status {answer.status_code}, not JSON")
    if answer.status_code == 200:
        return read_answer(kind, raw)
    error = read_answer(ERROR, raw)
    code, text = error.get("code", ""), error.get("message", "")
    match answer.status_code, code:
        case 401, _:
            raise CredentialRejected(text)
        case 400, "late" | "malformed":  # had no effect at all
            raise VenueUnavailable(text)
        case 400, "invalid":
            raise InvalidInput(text)
        case 409, "expired":
            raise OutcomeUnknown(text)
    raise _lost(write, f"status {answer.status_code}: {text}")


def _patience(header: str) -> float:
    least, usual, most = _PATIENCE_S
    try:
        return min(max(float(header), least), most)
    except ValueError:
        return usual
