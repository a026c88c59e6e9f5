"""How a call to the paper venue's process is signed; both of its ends use this.

An account's secret follows from the venue's, so that an account needs nothing stored. What is signed is the whole
request with its time: another body, path or time is another signature.
"""

from __future__ import annotations

import hashlib
import hmac

KEY, TIME, WINDOW, SIGN = "X-Paper-Key", "X-Paper-Time", "X-Paper-Window", "X-Paper-Sign"
PLATFORM, CONTROL = "platform", "control"  # keys that are no account's
WINDOW_MS = 5_000  # how old a call may be when the venue takes it


def account_secret(venue_secret: str, key: str) -> str:
    """Return the secret that belongs to an account's key."""
    return hmac.new(venue_secret.encode(), f"key:{key}".encode(), hashlib.sha256).hexdigest()


def signature(secret: str, path: str, time_ms: str, window_ms: str, body: bytes) -> str:
    head = f"{time_ms}\n{window_ms}\n{path}\n".encode()
    return hmac.new(secret.encode(), head + body, hashlib.sha256).hexdigest()


def headers(key: str, secret: str, path: str, now_ms: int, body: bytes, window_ms: int = WINDOW_MS) -> dict[str, str]:
    """Return the headers of one call."""
    time_ms, window = str(now_ms), str(window_ms)
    return {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        KEY: key,
        TIME: time_ms,
        WINDOW: window,
        SIGN: signature(secret, path, time_ms, window, body),
    }
