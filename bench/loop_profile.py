"""Where the general loop spends its time: each case under cProfile, by file and by function, in microseconds a fill.

    python loop_profile.py FILE

A profiler makes small calls look dearer than they are: read the shares, not the sums.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.measure import Case
from bench.ours import candles_of
from bench.series import file_series

ROOT = Path(__file__).resolve().parent.parent
CASES = ("ema", "grid-dense", "dca")
FUNCTIONS = 12


def place_of(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) and ".venv" not in path.parts else "python"


def show(case: Case, name: str) -> None:
    case.run()
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    fills = len(case.run().fills)
    profile.disable()
    stats: dict[tuple[str, int, str], tuple[Any, ...]] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    files: Counter[str] = Counter()
    rows = []
    for (file, _, function), (_, calls, own, whole, _) in stats.items():
        files[place_of(file)] += own
        rows.append((own, whole, calls, f"{place_of(file)} {function}"))
    total = sum(files.values())
    print(f"\n{name}: {fills:,} fills, {total / fills * 1e6:.0f} us a fill under the profiler")
    for file, own in files.most_common(10):
        print(f"  {own / total:6.1%}  {file}")
    print(f"  {'own us':>8} {'all us':>8} {'calls':>7}   (a fill)")
    for own, whole, calls, function in sorted(rows, reverse=True)[:FUNCTIONS]:
        print(f"  {own / fills * 1e6:8.1f} {whole / fills * 1e6:8.1f} {calls / fills:7.1f}   {function}")


def main() -> None:
    candles = candles_of(file_series(Path(sys.argv[1])))
    for name in CASES:
        show(Case(name, candles), name)


if __name__ == "__main__":
    main()
