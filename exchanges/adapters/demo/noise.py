"""Random numbers by address instead of by order: value n of a stream is a hash of (stream, n).

Only integer arithmetic and the four basic operations of IEEE floats are used, so that the same address gives the same
bits on every machine and with every version of numpy. The mixer is splitmix64 (Steele, Lea, Flood: "Fast splittable
pseudorandom number generators", OOPSLA 2014).
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint64]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EDITION = 2363  # of the whole demo market: another number, another history

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_LOW_16 = np.uint64(0xFFFF)
_SQRT_3 = 1.7320508075688772


def stream_key(*parts: object) -> np.uint64:
    """Return the key of a stream from whatever names it."""
    name = "|".join(map(str, (EDITION, *parts)))
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def bits_at(key: np.uint64, index: Ints) -> Bits:
    """Return 64 random bits for each index; negative ones are as good as any."""
    with np.errstate(over="ignore"):
        z = key + index.astype(np.uint64) * _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        return z ^ (z >> np.uint64(31))


def uniform_at(key: np.uint64, index: Ints) -> Floats:
    """Return a number in [0, 1) for each index."""
    return (bits_at(key, index) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal_at(key: np.uint64, index: Ints) -> Floats:
    """Return a nearly normal number (mean 0, variance 1, within 3.47) for each index: the sum of four uniforms."""
    bits = bits_at(key, index)
    total = bits & _LOW_16
    for shift in (16, 32, 48):
        total = total + ((bits >> np.uint64(shift)) & _LOW_16)
    return (total.astype(np.float64) - 131_070.0) * (_SQRT_3 / 65_536.0)


def exp_of(x: Floats) -> Floats:
    """Return e^x for |x| < 2 to 1e-15, without the machine's own exp: Taylor on x/16, squared four times."""
    y = x / 16.0
    result = np.ones_like(y)
    for divisor in (10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0):
        result = result * y / divisor + 1.0
    for _ in range(4):
        result = result * result
    return result
