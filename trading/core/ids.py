"""Order ids: derived, never invented, so that the same decision always names the same order."""

from __future__ import annotations

import base64
import hashlib

PREFIX = "bn"
LIQUIDATION = "engine:liquidation"  # the slot of what a venue takes over


def client_order_id(epoch: str, bot_public_id: str, slot: str, gen: int, attempt: int) -> str:
    """Return the id under which (bot, slot, gen) goes to a venue: 26 characters of [a-z2-7], starting with PREFIX.

    `epoch` is the installation's: a restored copy gets a new one. `attempt` rises only after a proved "not placed".
    """
    text = f"{epoch}|{bot_public_id}|{slot}|{gen}|{attempt}"
    digest = hashlib.sha256(text.encode()).digest()
    return PREFIX + base64.b32encode(digest).decode().lower()[:24]


def is_ours(client_order_id: str) -> bool:
    """Say whether an order at a venue bears our prefix; all others are foreign and stay untouched."""
    return client_order_id.startswith(PREFIX) and len(client_order_id) == len(PREFIX) + 24
