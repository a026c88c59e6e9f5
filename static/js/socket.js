// One websocket per page, server to client only. It turns frames into DOM events and never gives up:
//   live:events  detail = [event, ...]   every event since the page was made, in order, each once
//   live:prices  detail = [price, ...]   at most four times a second
//   live:reset                            too much was missed: fetch everything anew
//   live:state   detail = {state, at}     "connecting", "live" or "lost"; at = time of the last frame with news
const BACKOFF_MS = [300, 1000, 2000, 4000, 8000, 15000];
const SILENCE_MS = 12000; // the server beats every 5 s: more silence than this is a dead line
const tell = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail }));

export class Line {
  constructor({ since, markets }) {
    this.since = since;
    this.markets = markets;
    this.tries = 0;
    this.heardAt = 0; // anything at all
    this.newsAt = 0; // prices or events
    this.state = "connecting";
    this.wasLive = false;
    this.open();
    setInterval(() => this.check(), 1000);
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.check() || this.retryNow());
    addEventListener("pagehide", () => this.socket?.close());
    addEventListener("pageshow", (event) => event.persisted && this.retryNow());
  }

  open() {
    clearTimeout(this.timer);
    this.timer = null;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const query = new URLSearchParams({ since: this.since, markets: this.markets });
    const socket = new WebSocket(`${scheme}://${location.host}/ws/?${query}`);
    this.socket = socket;
    this.heardAt = Date.now();
    socket.addEventListener("message", (message) => socket === this.socket && this.hear(JSON.parse(message.data)));
    socket.addEventListener("close", (event) => socket === this.socket && this.lose(event.code));
  }

  hear(frame) {
    this.heardAt = Date.now();
    if (frame.type === "hello" || frame.type === "reset") {
      this.tries = 0;
      this.since = frame.seq;
      this.become("live");
      // After a cut the blocks are fetched anew in any case: prices have moved even when nothing happened.
      if (frame.type === "reset" || this.wasLive) tell("live:reset");
      this.wasLive = true;
    } else if (frame.type === "events") {
      const news = frame.events.filter((event) => event.seq > this.since);
      if (!news.length) return;
      this.since = news.at(-1).seq;
      this.newsAt = this.heardAt;
      tell("live:events", news);
    } else if (frame.type === "prices") {
      this.newsAt = this.heardAt;
      tell("live:prices", frame.prices);
    }
  }

  lose(code) {
    this.socket = null;
    this.become("lost");
    if (code === 4401) return location.reload(); // signed out elsewhere: the page leads to the sign-in
    const base = BACKOFF_MS[Math.min(this.tries, BACKOFF_MS.length - 1)];
    this.tries += 1;
    if (this.tries % 4 === 0) this.askWhetherSignedIn();
    this.timer = setTimeout(() => this.open(), base * (0.7 + Math.random() * 0.6));
    return undefined;
  }

  check() {
    if (!this.socket || Date.now() - this.heardAt < SILENCE_MS) return false;
    const dead = this.socket;
    this.socket = null;
    dead.close();
    this.lose(0);
    return true;
  }

  retryNow() {
    if (this.socket) return;
    this.tries = 0;
    this.open();
  }

  become(state) {
    this.state = state;
    tell("live:state", { state, at: this.newsAt });
  }

  async askWhetherSignedIn() {
    // A refused handshake looks like a broken line to a page; only HTTP tells the difference.
    const answer = await fetch(location.href, { method: "HEAD" }).catch(() => null);
    if (answer?.redirected) location.reload();
  }
}
