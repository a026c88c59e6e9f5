// Where a chart's candles come from: pages of history over HTTP, the present candle from the price stream.
const COLUMNS = ["ts", "open", "high", "low", "close", "volume"];

export class Candles {
  constructor(url, timeframeMs) {
    this.url = url;
    this.timeframeMs = timeframeMs;
    this.rows = []; // {time (s), open, high, low, close, volume}, oldest first
    this.complete = false; // nothing older exists
    this.loading = null;
  }

  async fetchRows(extra = {}) {
    const query = new URLSearchParams({ timeframe_ms: this.timeframeMs, ...extra });
    const answer = await fetch(`${this.url}&${query}`, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`candles: ${answer.status}`);
    const columns = await answer.json();
    const [ts, ...values] = COLUMNS.map((name) => columns[name] ?? []);
    return ts.map((at, i) => {
      const [open, high, low, close, volume] = values.map((column) => Number(column[i] ?? 0));
      return { time: at / 1000, open, high, low, close, volume };
    });
  }

  // The newest page replaces what is known of its stretch; what lies before it and is joined to it stays.
  async newest() {
    const fresh = await this.fetchRows();
    if (!fresh.length) return;
    const joined = this.rows.length && this.rows.at(-1).time >= fresh[0].time - this.timeframeMs / 1000;
    const before = joined ? this.rows.filter((row) => row.time < fresh[0].time) : [];
    const after = this.rows.filter((row) => row.time > fresh.at(-1).time); // the present candle
    if (!joined) this.complete = false;
    this.rows = [...before, ...fresh, ...after];
  }

  // One page further back; false when there was nothing to add.
  async older() {
    if (this.complete || this.loading || !this.rows.length) return false;
    this.loading = this.fetchRows({ before_ms: this.rows[0].time * 1000 });
    try {
      const page = (await this.loading).filter((row) => row.time < this.rows[0].time);
      this.complete = page.length === 0;
      this.rows = [...page, ...this.rows];
      return page.length > 0;
    } finally {
      this.loading = null;
    }
  }

  // Merge a price into the present candle. Returns what became of it: "same", "new" (a candle began), "gap" or null.
  price({ ts, open, high, low, last }) {
    const step = this.timeframeMs / 1000;
    const time = Math.floor(ts / this.timeframeMs) * step;
    const present = this.rows.at(-1);
    if (!present || time < present.time) return null;
    if (time === present.time) {
      present.high = Math.max(present.high, high);
      present.low = Math.min(present.low, low);
      present.close = last;
      return "same";
    }
    this.rows.push({ time, open, high, low, close: last, volume: 0 });
    return time - present.time > step ? "gap" : "new";
  }
}

// Fills as markers: those of the visible stretch only, one per candle and side with their number when there are more.
export function markersOf(fills, from, to, timeframeMs, colors) {
  const step = timeframeMs / 1000;
  const groups = new Map();
  for (const fill of fills) {
    const time = Math.floor(fill.ts / timeframeMs) * step;
    if (time < from || time > to) continue;
    const key = `${time}/${fill.side}`;
    groups.set(key, { time, side: fill.side, count: (groups.get(key)?.count ?? 0) + 1 });
  }
  return [...groups.values()]
    .sort((a, b) => a.time - b.time)
    .map(({ time, side, count }) => ({
      time,
      position: side === "buy" ? "belowBar" : "aboveBar",
      shape: side === "buy" ? "arrowUp" : "arrowDown",
      color: side === "buy" ? colors.up : colors.down,
      text: count > 1 ? `${count}` : "",
      size: 0.8,
    }));
}
