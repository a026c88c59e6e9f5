"""Who may call the venue: a key, a signature over the whole request, and a window of time in which it counts."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping

from accounts.models import Account, Workspace
from exchanges.adapters.paperwire.sign import (
    CONTROL,
    KEY,
    PLATFORM,
    SIGN,
    TIME,
    WINDOW,
    account_secret,
    signature,
)
from exchanges.demo import wall_now_ms

WORKSPACE = "paper venue"
AHEAD_MS = 1_000  # how far the caller's clock may be before ours
LONGEST_MS = 60_000  # window that a call may ask for
_KEY = re.compile(r"[A-Za-z0-9-]{1,64}")


class Refused(Exception):
    """A call that is answered with an error, before it has done anything."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Gate:
    """Checks callers. Without a control key nobody may control."""

    def __init__(self, secret: str, control: str) -> None:
        self._secret, self._control = secret, control

    def account_key(self, headers: Mapping[str, str], path: str, body: bytes) -> str:
        """Return the key of the account that calls. Raises Refused."""
        key = headers.get(KEY, "")
        if key in (PLATFORM, CONTROL) or not _KEY.fullmatch(key):
            raise Refused(401, "key", "no account has this key")
        self._check(account_secret(self._secret, key), headers, path, body)
        return key

    def platform(self, headers: Mapping[str, str], path: str, body: bytes) -> None:
        """Let the platform in, which may hear which accounts have news. Raises Refused."""
        self._check(account_secret(self._secret, PLATFORM), headers, path, body)

    def control(self, headers: Mapping[str, str], path: str, body: bytes) -> None:
        """Let the one in who plays faults. Raises Refused."""
        if not self._control:
            raise Refused(401, "key", "this venue was started without a control key")
        self._check(account_secret(self._control, CONTROL), headers, path, body)

    def _check(self, secret: str, headers: Mapping[str, str], path: str, body: bytes) -> None:
        time_ms, window_ms = headers.get(TIME, ""), headers.get(WINDOW, "")
        expected = signature(secret, path, time_ms, window_ms, body)
        if not hmac.compare_digest(expected.encode(), headers.get(SIGN, "").encode("utf-8", "replace")):
            raise Refused(401, "signature", "the signature doesn't belong to this key and request")
        if not (time_ms.isascii() and time_ms.isdecimal() and window_ms.isascii() and window_ms.isdecimal()):
            raise Refused(400, "late", "time and window must be whole milliseconds")
        age_ms = wall_now_ms() - int(time_ms)
        if not -AHEAD_MS <= age_ms <= min(int(window_ms), LONGEST_MS):
            raise Refused(400, "late", f"the call is {age_ms} ms old: sent too late, or the clocks differ")


def account_of(key: str) -> Account:
    """Return the venue's account of a key, made when it first comes."""
    workspace, _ = Workspace.objects.get_or_create(name=WORKSPACE)
    account, _ = Account.objects.get_or_create(workspace=workspace, name=key)
    return account
