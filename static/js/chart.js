// The chart of a bot: candles, its order lines, its average price, its fills. It draws; it computes no money.
import { Candles, markersOf } from "./chart-data.js";
import { showTable, summary } from "./chart-words.js";

const LABELLED = 3; // order lines with a label on the axis, on each side of the price
const MOST_LINES = 50;
const REFETCH_MS = 1500; // after a candle closed, its final form is asked for

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const palette = () => ({
  up: css("--up"),
  down: css("--down"),
  ink: css("--ink-soft"),
  faint: css("--ink-faint"),
  line: css("--line"),
  accent: css("--accent"),
  warn: css("--warn"),
});
// What an address answers; null when it refuses, or when the line is cut before or in the middle of it.
const told = (url) => fetch(url).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);

class BotChart {
  constructor(panel) {
    this.panel = panel;
    this.data = panel.dataset;
    this.colors = palette();
    this.fills = new Map();
    this.lines = [];
    this.extra = { orders: [], average: null, exits: {} };
    this.canvas = panel.querySelector("[data-chart-canvas]");
    this.build();
    this.listen();
    const pressed = panel.querySelector("[data-timeframe][aria-pressed=true]") ?? panel.querySelector("[data-timeframe]");
    pressed.setAttribute("aria-pressed", "true");
    this.switchTo(Number(pressed.dataset.timeframe));
  }

  build() {
    const { createChart, createSeriesMarkers, CandlestickSeries, HistogramSeries } = window.LightweightCharts;
    this.chart = createChart(this.canvas, {
      autoSize: true,
      layout: { attributionLogo: false }, // it would inject a style element; the link stands under the chart
    });
    const precision = Number(this.data.decimals);
    const priceFormat = { type: "price", precision, minMove: Number(this.data.tick) };
    this.volume = this.chart.addSeries(HistogramSeries, {
      priceScaleId: "volume",
      priceFormat: { type: "volume" },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.9, bottom: 0 } });
    this.series = this.chart.addSeries(CandlestickSeries, {
      priceFormat,
      autoscaleInfoProvider: (original) => this.withNearLines(original()),
    });
    this.series.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.13 } });
    this.markers = createSeriesMarkers(this.series, []);
    this.paint();
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => this.moved(range));
  }

  paint() {
    const c = (this.colors = palette());
    this.chart.applyOptions({
      layout: {
        background: { color: "transparent" },
        textColor: c.faint,
        fontFamily: css("--tblr-font-sans-serif"),
        fontSize: 11,
      },
      grid: { vertLines: { color: `${c.line}80` }, horzLines: { color: `${c.line}80` } },
      crosshair: { mode: 0 },
      rightPriceScale: { borderVisible: false },
      timeScale: { borderVisible: false, timeVisible: true, secondsVisible: false, rightOffset: 6 },
    });
    this.series.applyOptions({
      upColor: c.up,
      downColor: c.down,
      wickUpColor: c.up,
      wickDownColor: c.down,
      borderVisible: false,
      priceLineColor: c.ink,
    });
    this.drawLines();
    this.drawMarkers();
    if (this.candles?.rows.length) this.drawCandles();
  }

  listen() {
    const { bot } = this.data;
    document.addEventListener("live:prices", ({ detail }) => {
      for (const price of detail) if (String(price.market) === this.data.market) this.price(price);
    });
    document.addEventListener("live:events", ({ detail }) => {
      const mine = detail.filter((event) => event.bot === bot);
      for (const { kind, seq, data } of mine)
        if (kind === "fill" && data.market === this.data.symbol)
          this.fills.set(`seq${seq}`, { ts: data.ts_ms, side: data.side, price: data.price });
      if (mine.length) this.loadLines();
      this.drawMarkers();
    });
    document.addEventListener("live:reset", () => this.reload());
    document.addEventListener("themechange", () => this.paint());
    this.panel.addEventListener("change", ({ target }) => {
      if ("chartMarket" in target.dataset) this.pickMarket(target.selectedOptions[0]);
    });
    this.panel.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (button?.dataset.timeframe) this.choose(button);
      if (button && "chartTable" in button.dataset) this.toggleTable(button);
    });
  }

  choose(button) {
    for (const other of this.panel.querySelectorAll("[data-timeframe]"))
      other.setAttribute("aria-pressed", String(other === button));
    this.switchTo(Number(button.dataset.timeframe));
  }

  // Another of the bot's markets: its candles, its orders, its fills, on its own tick.
  pickMarket(option) {
    const { symbol, tick, decimals } = option.dataset;
    Object.assign(this.data, { market: option.value, symbol, tick, decimals });
    this.panel.setAttribute("aria-label", `Chart of ${symbol}`);
    this.panel.querySelector("[data-chart-last]").textContent = "";
    this.series.applyOptions({ priceFormat: { type: "price", precision: Number(decimals), minMove: Number(tick) } });
    this.switchTo(this.candles.timeframeMs);
  }

  async switchTo(timeframeMs) {
    this.candles = new Candles(`${this.data.candlesUrl}?market=${this.data.market}`, timeframeMs);
    this.fitted = false;
    await this.reload();
  }

  async reload() {
    const candles = this.candles;
    this.note("");
    try {
      await Promise.all([candles.newest(), this.loadLines()]);
    } catch {
      return this.note("No candles could be loaded; trying again.", setTimeout(() => this.reload(), 5000));
    }
    if (candles !== this.candles) return undefined; // another timeframe was chosen meanwhile
    this.drawCandles();
    this.drawLines(); // again: which of them are near is known only now
    this.showLast();
    if (!this.fitted) {
      this.fitted = true;
      const count = candles.rows.length;
      const shown = Math.max(60, Math.min(150, Math.round(this.canvas.clientWidth / 7)));
      this.chart.timeScale().setVisibleLogicalRange({ from: count - shown, to: count + 6 });
    }
    this.fills.clear();
    return this.loadMarkers();
  }

  note(text) {
    this.panel.querySelector("[data-chart-note]").textContent = text;
  }

  drawCandles() {
    const { up, down } = this.colors;
    this.series.setData(this.candles.rows);
    this.volume.setData(
      this.candles.rows.map(({ time, open, close, volume }) => ({
        time,
        value: volume,
        color: `${close >= open ? up : down}2a`,
      })),
    );
    this.say();
  }

  showLast(price = this.candles.rows.at(-1)?.close) {
    const last = this.panel.querySelector("[data-chart-last]");
    const digits = Number(this.data.decimals);
    const text = price?.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }) ?? "";
    if (last.textContent !== text) last.textContent = text;
  }

  price(price) {
    this.showLast(price.last);
    const outcome = this.candles.price(price);
    if (outcome === "gap") return this.reload();
    if (outcome === null) return undefined;
    this.series.update(this.candles.rows.at(-1));
    if (outcome === "new") setTimeout(() => this.settle(), REFETCH_MS);
    return this.say();
  }

  async settle() {
    const candles = this.candles;
    await candles.newest().catch(() => null); // the stream goes on; the next close asks again
    if (candles !== this.candles) return;
    this.drawCandles();
    this.drawLines();
  }

  async loadLines() {
    const { market } = this.data;
    const extra = await told(`${this.data.chartUrl}?market=${market}`);
    if (!extra || market !== this.data.market) return;
    this.extra = extra;
    this.drawLines();
  }

  nearest() {
    const last = this.candles?.rows.at(-1)?.close;
    const orders = this.extra.orders.map((order) => ({ ...order, at: Number(order.price) }));
    if (last !== undefined) orders.sort((a, b) => Math.abs(a.at - last) - Math.abs(b.at - last));
    return orders.slice(0, MOST_LINES);
  }

  withNearLines(info) {
    if (!info?.priceRange) return info;
    const span = info.priceRange.maxValue - info.priceRange.minValue;
    for (const { at } of this.nearest().slice(0, LABELLED * 2)) {
      if (at > info.priceRange.maxValue + span || at < info.priceRange.minValue - span) continue;
      info.priceRange.maxValue = Math.max(info.priceRange.maxValue, at);
      info.priceRange.minValue = Math.min(info.priceRange.minValue, at);
    }
    return info;
  }

  drawLines() {
    for (const line of this.lines) this.series.removePriceLine(line);
    this.lines = [];
    const { up, down, accent, warn } = this.colors;
    const add = (price, color, options) =>
      this.lines.push(
        this.series.createPriceLine({ price: Number(price), color, lineWidth: 1, lineStyle: 2, title: "", ...options }),
      );
    const labels = { buy: 0, sell: 0 };
    for (const { side, price } of this.nearest()) {
      const near = (labels[side] += 1) <= LABELLED;
      const color = side === "buy" ? up : down;
      add(price, near ? color : `${color}70`, { lineStyle: near ? 2 : 1, axisLabelVisible: near });
    }
    if (this.extra.average !== null) add(this.extra.average, accent, { lineStyle: 0, title: "average" });
    if (this.extra.liquidation) add(this.extra.liquidation, warn, { lineStyle: 1, title: "liquidation" });
    if (this.extra.exits.stop) add(this.extra.exits.stop, warn, { lineStyle: 3, title: "stop" });
    if (this.extra.exits.take) add(this.extra.exits.take, warn, { lineStyle: 3, title: "take profit" });
  }

  moved(range) {
    if (!range) return;
    if (this.fitted && range.from < 30 && this.candles.rows.length) this.pageBack();
    clearTimeout(this.markersTimer);
    this.markersTimer = setTimeout(() => this.loadMarkers(), 200);
  }

  async pageBack() {
    const candles = this.candles;
    if (!(await candles.older().catch(() => false)) || candles !== this.candles) return;
    const range = this.chart.timeScale().getVisibleRange();
    this.drawCandles();
    if (range) this.chart.timeScale().setVisibleRange(range);
  }

  visible() {
    const range = this.chart.timeScale().getVisibleRange();
    return range ? [range.from, Math.max(range.to, this.candles?.rows.at(-1)?.time ?? 0)] : null;
  }

  async loadMarkers() {
    const stretch = this.visible();
    if (!stretch) return;
    const { market } = this.data;
    const query = new URLSearchParams({ market, from: stretch[0] * 1000, to: stretch[1] * 1000 + this.candles.timeframeMs });
    const answer = await told(`${this.data.markersUrl}?${query}`);
    if (!answer || market !== this.data.market) return;
    const { fills, complete } = answer;
    this.fills = new Map(fills.map((fill, i) => [i, fill]));
    this.note(complete ? "" : `The newest ${fills.length} fills of this stretch are marked.`);
    this.drawMarkers();
    this.say(true);
  }

  drawMarkers() {
    const stretch = this.candles && this.visible();
    if (!stretch) return;
    this.marked = markersOf([...this.fills.values()], ...stretch, this.candles.timeframeMs, this.colors);
    this.markers.setMarkers(this.marked);
  }

  say(atOnce = false) {
    const now = Date.now();
    if (!atOnce && this.saidAt && now - this.saidAt < 5000) return;
    this.saidAt = now;
    this.panel.querySelector("[data-chart-summary]").textContent = summary(this);
    const table = this.panel.querySelector("#chart-table");
    if (!table.hidden) showTable(table, this);
  }

  toggleTable(button) {
    const table = this.panel.querySelector("#chart-table");
    table.hidden = !table.hidden;
    button.setAttribute("aria-expanded", String(!table.hidden));
    this.canvas.hidden = !table.hidden;
    if (!table.hidden) showTable(table, this);
  }
}

export function drawChart(panel) {
  return new BotChart(panel);
}
