"""What `make bench` prints: every comparison in one run, each side in a process and an environment of its own.

    python compare.py FILE --ours PYTHON --peers PYTHON [--plot OUT.svg]

CPU seconds throughout: everything here runs in one thread, and CPU time minds a busy machine the least.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.plot import time_plot

HERE = Path(__file__).resolve().parent
COUNT = 1_000_000  # candles of ours, of the hand-written passes and of vectorbt
PEER_COUNT = 264_957  # of backtesting.py, which takes seconds for each hundred thousand
TITLES = {
    "ema": "EMA crossover 12/26",
    "grid": "Grid of 12 lines, few fills",
    "grid-dense": "Grid of 12 lines, many fills",
    "dca": "DCA, five safety orders",
}


class Bench:
    """The two interpreters, and the file of candles that all of them read."""

    def __init__(self, ours: str, peers: str, file: Path) -> None:
        self._ours, self._peers, self.file = ours, peers, file

    def ours(self, verb: str, *rest: object) -> dict[str, Any]:
        return self._run(self._ours, "measure.py", verb, *rest)

    def peer(self, verb: str, name: str, case: str, count: int) -> dict[str, Any]:
        return self._run(self._peers, "peer_cases.py", verb, name, case, self.file, count)

    def _run(self, python: str, script: str, *args: object) -> dict[str, Any]:
        command = [python, "-W", "ignore", str(HERE / script), *map(str, args)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found: dict[str, Any] = json.loads(answer.stdout)
        return found


def row(name: str, rate: float, ours: float, quick: float | None, note: str = "") -> None:
    """Print one rate, and how many times as fast ours is: the general loop, and where there is one the vectorised."""
    second = "" if quick is None else f"{quick / rate:12,.2f}"
    print(f"  {name:42} {rate:15,.0f} {ours / rate:12,.2f} {second:12}   {note}".rstrip(), flush=True)


def speeds(bench: Bench) -> None:
    for case, title in TITLES.items():
        found = bench.ours("speed", case, bench.file, COUNT)
        ours = COUNT / found["ours"]
        per_fill = COUNT / found["fills"]
        print(f"\n{title}: {COUNT:,} candles (tiled), {found['fills']:,} fills, one in {per_fill:,.0f} candles")
        quick = COUNT / found["vectorised"] if "vectorised" in found else None
        second = "" if quick is None else "vectorised"
        print(f"  {'':42} {'candles/s CPU':>15} {'general/it':>12} {second + '/it' if second else '':>12}")
        row("binnacle, general loop", ours, ours, quick)
        if quick is not None:
            row("binnacle, decision table vectorised", quick, ours, quick)
        row("compiled by hand", COUNT / found["hand"], ours, quick, "same fills and final equity")
        if "hand_skipping" in found:
            row("compiled by hand, skipping quiet candles", COUNT / found["hand_skipping"], ours, quick, "the same")
        peers = [("backtesting", PEER_COUNT)] + ([("vectorbt", COUNT)] if case == "ema" else [])
        for peer, count in peers:
            their = bench.peer("speed", peer, case, count)
            note = f"{count:,} candles, {their['fills']:,} fills"
            row(their["name"], count / their["seconds"], ours, quick, note)


def memories(bench: Bench) -> None:
    print(f"\nPeak memory of one run over {COUNT:,} candles, the reading of the file included (MB)")
    for case in ("ema", "ema-vectorised", "grid", "grid-dense", "dca"):
        print(f"  binnacle {case:35} {bench.ours('memory', case, bench.file, COUNT)['peak_mb']:8,.0f}", flush=True)
    for peer in ("vectorbt", "backtesting"):
        print(f"  {peer} ema {'':27} {bench.peer('memory', peer, 'ema', COUNT)['peak_mb']:8,.0f}", flush=True)


def lengths(bench: Bench, out: Path | None) -> None:
    found = bench.ours("linear", bench.file)
    print("\nTime by length, general loop (CPU seconds; in brackets candles/s)")
    for case, points in found.items():
        shown = "   ".join(f"{count:,}: {seconds:.2f} ({count / seconds:,.0f})" for count, seconds in points)
        print(f"  {TITLES[case]:30} {shown}")
    if out is not None:
        out.write_text(time_plot({TITLES[case]: points for case, points in found.items()}))
        print(f"  plot: {out}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare Binnacle's backtests with peers and with compiled passes.")
    parser.add_argument("file", type=Path, help="candles (Parquet); tiled where more are needed")
    parser.add_argument("--ours", required=True, help="the product's interpreter")
    parser.add_argument("--peers", required=True, help="the interpreter of the peers' environment")
    parser.add_argument("--plot", type=Path, help="write the time over the length as SVG")
    chosen = parser.parse_args()
    bench = Bench(chosen.ours, chosen.peers, chosen.file)
    print(f"Candles of {chosen.file.name}, tiled to {COUNT:,} where said: at a seam the price jumps.")
    speeds(bench)
    memories(bench)
    lengths(bench, chosen.plot)


if __name__ == "__main__":
    main()
