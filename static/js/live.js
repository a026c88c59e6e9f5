// Keeps the blocks of a page right: one element with data-live names an address whose answer holds the moving blocks
// as out-of-band swaps. It is fetched after events (at most once a second), after a cut, and, with data-live-prices,
// every few seconds while prices move. The swap is a morph: focus, selection and open details stay.
const EVENTS_MS = 1000;
const PRICES_MS = 2000;
const PANEL_MS = 6000; // distances and results in the open tab follow the price, too

export function keepLive(block) {
  const bot = block.dataset.liveBot;
  let lastAt = 0;
  let timer = null;
  let running = false;
  let withPanel = false;
  let panelAt = Date.now();

  const address = () => {
    const tab = document.getElementById("panel")?.dataset.tab;
    return withPanel && tab ? `${block.dataset.live}?tab=${tab}` : block.dataset.live;
  };
  const later = (wait) => {
    if (timer === null) timer = setTimeout(run, wait);
  };
  async function run() {
    timer = null;
    if (document.hidden) return; // the page asks again when it is looked at
    if (running) return later(EVENTS_MS);
    running = true;
    lastAt = Date.now();
    if (lastAt - panelAt >= PANEL_MS) withPanel = true;
    if (withPanel) panelAt = lastAt;
    const url = address();
    withPanel = false;
    try {
      await htmx.ajax("GET", url, { source: document.body, target: document.body, swap: "none" });
    } catch {
      // The line is cut: its state is shown, and once it is back everything is fetched anew.
    } finally {
      running = false;
    }
    return undefined;
  }
  const soon = (every) => later(Math.max(0, lastAt + every - Date.now()));

  document.addEventListener("live:events", ({ detail }) => {
    if (bot && !detail.some((event) => event.bot === bot)) return;
    withPanel = true;
    clearTimeout(timer);
    timer = null;
    soon(EVENTS_MS);
  });
  document.addEventListener("live:reset", () => {
    withPanel = true;
    clearTimeout(timer);
    timer = null;
    later(0);
  });
  if ("livePrices" in block.dataset) document.addEventListener("live:prices", () => soon(PRICES_MS));
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    withPanel = true;
    later(0);
  });
}

export function tameMorph() {
  const { callbacks } = window.Idiomorph.defaults;
  window.Idiomorph.defaults.ignoreActiveValue = true; // what somebody is typing is newer than any answer
  // What a person has opened stays open, whatever the server says of it.
  callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && /^(DETAILS|DIALOG)$/.test(node.tagName));
  callbacks.afterNodeAdded = (node) => {
    if (node.nodeType === Node.ELEMENT_NODE && "fill" in node.dataset) node.classList.add("fresh");
  };
}


// An answer that was on its way when another tab was chosen must not bring the old tab back.
let chosen = null;
document.addEventListener("click", ({ target }) => {
  chosen = target.closest?.("[role=tab]")?.dataset.tab ?? chosen;
});
document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  const { target, fragment } = detail;
  const panel = fragment.id === "panel" ? fragment : fragment.querySelector("#panel");
  if (target.id === "panel" && chosen && panel && panel.dataset.tab !== chosen) detail.shouldSwap = false;
});
