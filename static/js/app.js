// What every page does: menus, dialogs, the theme, ages, the line to the server and its visible state.
import { drawChart } from "./chart.js";
import "./fields.js";
import { keepLive, tameMorph } from "./live.js";
import { Line } from "./socket.js";

const LATE_MS = 10000;
const PREVIEW_MS = 5000; // how often the wizard's preview follows the price

function word(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86400)} d ago`;
}

function showAges() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const text = word(Date.now() - Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}

function showLine(line) {
  const box = document.getElementById("link-state");
  const [wordBox, ageBox] = [box.querySelector("[data-word]"), box.querySelector("[data-age]")];
  const at = line.newsAt ? new Date(line.newsAt).toISOString().slice(11, 19) : "";
  const silent = line.newsAt ? Date.now() - line.newsAt : 0;
  const words = { connecting: "Connecting", live: "Live", lost: "Reconnecting…" };
  const put = (node, text) => node.textContent === text || (node.textContent = text);
  box.dataset.state = line.state;
  put(wordBox, words[line.state]);
  const age = line.newsAt ? `updated ${word(silent)}` : "";
  box.dataset.late = String(silent > LATE_MS);
  put(ageBox, line.state === "lost" && at ? `last update ${at} UTC` : age);
  box.title = at ? `Last update ${at} UTC` : "No update yet";
}

function toast(text, kind = "error") {
  const box = document.createElement("div");
  box.className = `toast-item toast-${kind}`;
  box.setAttribute("role", kind === "error" ? "alert" : "status");
  const close = document.createElement("button");
  close.className = "icon-button";
  close.type = "button";
  close.dataset.dismiss = "";
  close.setAttribute("aria-label", "Dismiss");
  close.textContent = "×";
  box.append(Object.assign(document.createElement("span"), { textContent: text }), close);
  document.getElementById("toasts").append(box);
  if (kind !== "error") setTimeout(() => box.remove(), 6000); // errors stay until they are read
}

document.addEventListener("click", (event) => {
  const at = (selector) => event.target.closest?.(selector);
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  if (at("[data-dismiss]")) at("[data-dismiss]").parentElement.remove();
  if (at("[data-close]")) at("dialog")?.close();
  const root = document.documentElement.dataset;
  if (at("[data-theme-toggle]")) window.binnacleTheme.choose("theme", root.bsTheme === "dark" ? "light" : "dark");
  if (at("[data-palette-toggle]"))
    window.binnacleTheme.choose("palette", root.palette === "blue-orange" ? "green-red" : "blue-orange");
  if (event.target.matches?.("dialog[open]")) event.target.close(); // a click on the backdrop
});

document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A form that acts is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  if (!("once" in event.target.dataset)) return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "1";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// A dialog gives the focus back to what had it. Something in a menu that closes can't take it: the menu's button can.
function openDialog(dialog) {
  const menu = document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
  dialog.setAttribute("aria-label", dialog.querySelector("h2")?.textContent.trim() ?? "");
  dialog.showModal();
}
document.addEventListener("htmx:afterSwap", ({ target }) => {
  if (target.matches?.("dialog") && !target.open) openDialog(target);
});
// A bot was told something: the dialog has done its work; a form that is a page of its own goes back.
document.addEventListener("told", ({ target, detail }) => {
  const dialog = target.closest?.("dialog");
  if (!dialog) return location.assign(detail.back);
  dialog.close();
  toast(detail.text, "success");
  return document.dispatchEvent(new Event("live:reset"));
});
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target.id !== "panel") return;
  for (const tab of document.querySelectorAll("[role=tab]"))
    tab.setAttribute("aria-selected", String(tab.dataset.tab === document.getElementById("panel").dataset.tab));
  showTab();
});
// On a phone the tabs don't fit: the chosen one is scrolled into sight, the page itself stays where it is.
function showTab() {
  const tab = document.querySelector("[role=tab][aria-selected=true]");
  if (!tab) return;
  const [list, place] = [tab.parentElement, tab.getBoundingClientRect()];
  const room = list.getBoundingClientRect();
  if (place.left < room.left || place.right > room.right) list.scrollLeft += place.left - room.left - 24;
}
showTab();
document.addEventListener("htmx:oobAfterSwap", ({ detail }) => {
  if (!detail.target.id.startsWith("error-")) return;
  const told = document.getElementById(detail.target.id);
  const field = document.getElementById(told.id.slice("error-".length));
  if (field?.matches("input, select, textarea")) field.setAttribute("aria-invalid", String(told.textContent.trim() !== ""));
});
document.addEventListener("htmx:responseError", ({ detail }) => {
  if (detail.xhr.status === 403 || detail.xhr.status === 404) return; // a block of something that is gone
  toast(`The server answered ${detail.xhr.status}. What you see may be old.`);
});

// Signed out meanwhile: the answer is the sign-in page, which belongs into the window and not into a block.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!new URL(detail.xhr.responseURL || location.href).pathname.startsWith("/sign-in/")) return;
  detail.shouldSwap = false;
  location.reload();
});

// Another account or market: the wizard starts again with figures for it.
document.addEventListener("change", ({ target }) => {
  if (!("reload" in target.dataset)) return;
  const { account, market } = target.form.elements;
  location.assign(`?${new URLSearchParams({ account: account.value, market: market.value })}`);
});
const wizard = document.getElementById("wizard");
let previewedAt = Date.now();
document.addEventListener("live:prices", () => {
  if (!wizard || document.hidden || Date.now() - previewedAt < PREVIEW_MS) return;
  previewedAt = Date.now();
  htmx.trigger(wizard, "preview");
});

const themeWord = () => {
  const node = document.querySelector("[data-palette-word]");
  const other = document.documentElement.dataset.palette === "blue-orange" ? "Green and red" : "Blue and orange";
  if (node) node.textContent = `${other} results`;
};
document.addEventListener("themechange", themeWord);
themeWord();

tameMorph();
setInterval(showAges, 5000);
for (const block of document.querySelectorAll("[data-live]")) keepLive(block);
for (const panel of document.querySelectorAll("[data-chart]")) drawChart(panel);

if ("socket" in document.body.dataset) {
  const { since, markets } = document.body.dataset;
  const line = new Line({ since, markets: markets.trim() });
  window.binnacleLine = line; // for tests and the curious
  document.addEventListener("live:state", () => showLine(line));
  document.addEventListener("live:events", ({ detail }) => {
    for (const event of detail) if (event.level === "error") toast(event.text);
  });
  setInterval(() => showLine(line), 1000);
}
