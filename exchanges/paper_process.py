"""This platform's end of the paper venue's process: address and keys from the settings, a session for each thread."""

from __future__ import annotations

import threading
import time

import requests
from django.conf import settings

from accounts.models import Account
from exchanges.adapters.paperwire.client import Client
from exchanges.adapters.paperwire.sign import PLATFORM, account_secret
from exchanges.adapters.paperwire.venue import PaperWireVenue
from exchanges.demo import wall_now_ms
from trading.core.errors import VenueUnavailable

_sessions = threading.local()  # connections that stay open; lost without harm


def process_venue(account: Account) -> PaperWireVenue:
    """Return the port to an account at the process. Raises VenueUnavailable without an address and a key."""
    return PaperWireVenue(process_client(str(account.public_id)))


def process_client(key: str = PLATFORM) -> Client:
    """Return the client of one key at the process. Raises VenueUnavailable without an address and a key."""
    url, secret = settings.PAPER_VENUE_URL, settings.PAPER_VENUE_KEY
    if not url or not secret:
        raise VenueUnavailable("PAPER_VENUE_URL and PAPER_VENUE_KEY say where the paper venue's process is; unset here")
    return Client(_session(), url, key, account_secret(secret, key), wall_now_ms, time.monotonic)


def _session() -> requests.Session:
    found: requests.Session | None = getattr(_sessions, "session", None)
    if found is None:
        found = _sessions.session = requests.Session()
        found.trust_env = False  # no proxy and no .netrc of this machine stands between us and a venue
    return found
