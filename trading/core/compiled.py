"""Compiled forms of plain Python: the matching and the indicators' kernels, for backtests over long candle arrays.

The source stays the same; numba costs about 1.3 s and 100 MB to load, so it is imported when the first backtest asks,
and never by `serve`. The machine code is kept beside the source, or in the user's cache folder, and made anew when the
source changes.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from trading.core import matching

_HELPERS = (  # callees before callers
    "path_point",
    "first_touched",
    "nearest_point",
    "woken",
    "trail_bound",
    "trail_level",
    "follow",
    "trail_quiet_until",
    "best_of",
    "narrowed",
    "within",
    "quiet_until",
    "skip_quiet",
    "standing",
    "walk_leg",
    "walk_candle",
)


class Matching(NamedTuple):
    """Functions of `matching` as machine code. Arrays are C-contiguous: float64, and int64 for `ints`."""

    advance: Callable[..., tuple[int, int, int, int, int, float]]
    path_extremes: Callable[..., tuple[float, float]]


@cache
def compiled(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of numbers and numpy arrays, which calls no other function of ours, as machine code."""
    function: Callable[..., Any] = _jit(kernel)
    return function


@cache
def compiled_matching() -> Matching:
    """Return the matching as machine code."""
    bound: dict[str, Any] = dict(vars(matching))
    for name in _HELPERS:
        bound[name] = _jit(_rebound(name, bound))
    return Matching(*(_jit(_rebound(name, bound)) for name in Matching._fields))


def _rebound(name: str, bound: dict[str, Any]) -> Callable[..., Any]:
    """Return a function of the matching that calls the compiled helpers in `bound` instead of its module's own."""
    source = getattr(matching, name)
    function = types.FunctionType(source.__code__, bound, name, source.__defaults__, source.__closure__)
    function.__module__ = matching.__name__
    function.__qualname__ = name
    return function


def _jit(function: Callable[..., Any]) -> Any:
    from numba import njit

    try:
        return njit(cache=True)(function)
    except RuntimeError:  # no folder is writable: compile in each process
        return njit()(function)
