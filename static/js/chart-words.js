// The chart for those who don't see it: one sentence, and the newest candles as a table.
const ROWS = 60;
const clock = (seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;

export function summary({ candles, extra, fills, data }) {
  const first = candles.rows[0];
  const last = candles.rows.at(-1);
  if (!last) return `No candles of ${data.symbol} yet.`;
  const price = (value) => value.toFixed(Number(data.decimals));
  const counted = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
  const change = ((last.close / first.open - 1) * 100).toFixed(2);
  const parts = [
    `${data.symbol} stands at ${price(last.close)}, ${change > 0 ? "+" : ""}${change} % since ${clock(first.time)}.`,
    `${counted(extra.orders.length, "open order")}.`,
    `${counted(fills.size, "fill")} in view.`,
  ];
  if (extra.average !== null) parts.push(`Average price ${price(Number(extra.average))}.`);
  return parts.join(" ");
}

export function showTable(box, { candles, fills, data }) {
  const price = (value) => Number(value).toFixed(Number(data.decimals));
  const counts = new Map();
  for (const fill of fills.values()) {
    const time = (Math.floor(fill.ts / candles.timeframeMs) * candles.timeframeMs) / 1000;
    counts.set(time, [...(counts.get(time) ?? []), `${fill.side} at ${price(fill.price)}`]);
  }
  const table = document.createElement("table");
  table.className = "grid-table";
  const head = table.createTHead().insertRow();
  for (const word of ["Candle from", "Open", "High", "Low", "Close", "Fills"]) {
    const cell = document.createElement("th");
    cell.textContent = word;
    cell.scope = "col";
    head.append(cell);
  }
  const body = table.createTBody();
  for (const row of candles.rows.slice(-ROWS).reverse()) {
    const line = body.insertRow();
    const prices = [row.open, row.high, row.low, row.close].map(price);
    for (const text of [clock(row.time), ...prices, (counts.get(row.time) ?? []).join(", ")])
      line.insertCell().textContent = text;
  }
  box.replaceChildren(table);
}
