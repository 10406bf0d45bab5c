// Keeps what the feed tells, and draws it at most once a picture of the screen.

import { openFeed, openPicture, openStills } from "./feed.js";
import { setUpRanges, showEvents, showLanes } from "./timeline.js";
import {
  byId, duration, forUrl, fromUrl, headline, make, percent, setText, shortened, showBars,
  showCounts, showFill, showHealth, showLatency, showNow, withChildren,
} from "./view.js";

const KEPT_EVENTS = 300;
const NAME_LETTERS = 24;
const KEPT_LATENCIES = 240;
const LINKS = {
  live: ["live", "live", ""],
  lost: ["lost", "not connected", "The connection to the run is lost; trying again."],
  ended: ["ended", "ended", "The run has ended; the next one will show here."],
  refused: ["lost", "refused", "The run does not answer this page: too many may be watching, or it "
    + "was started anew. Then open it by the whole URL that was printed, with its token."],
};

const known = {
  run: null, status: null, labels: new Map(), events: new Map(), latencies: new Map(),
};
let chosen = fromUrl(location.hash.slice(1));
let isDrawing = false;

function take(message) {
  if (message.run !== known.run) {
    Object.assign(known, { run: message.run, status: null });
    for (const kept of [known.labels, known.events, known.latencies]) kept.clear();
  }
  for (const [source, record] of Object.entries(message.labels)) known.labels.set(source, record);
  for (const event of message.events) {
    known.events.set(JSON.stringify([event.source, event.id]), event);
  }
  while (known.events.size > KEPT_EVENTS) known.events.delete(known.events.keys().next().value);
  if (message.status) takeStatus(message.status);
  drawSoon();
}

function takeStatus(status) {
  known.status = status;
  const listed = new Set(status.sources.map(({ source }) => source));
  for (const kept of [known.labels, known.latencies]) {
    for (const source of kept.keys()) if (!listed.has(source)) kept.delete(source);
  }
  for (const { source, latency_ms: ms } of status.sources) {
    if (ms?.p50 === undefined || ms.p50 === null) continue;
    const history = known.latencies.get(source) ?? [];
    history.push(ms);
    known.latencies.set(source, history.slice(-KEPT_LATENCIES));
  }
}

function drawSoon() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => { isDrawing = false; draw(); });
}

function draw() {
  const sources = known.status?.sources ?? [...known.labels.keys()].map((source) => ({ source }));
  const names = sources.map(({ source }) => source);
  const source = sources.find((one) => one.source === chosen) ?? sources[0];
  const record = known.labels.get(source?.source);
  const events = [...known.events.values()];
  const labels = Array.isArray(known.status?.model?.labels) ? known.status.model.labels : [];
  const nowOf = (name) => known.labels.get(name)?.time_s ?? 0;

  showModel(known.status);
  showSources(sources, source?.source);
  showScreen(source);
  showNow(record, source);
  showBars(record);
  showFill(record, source);
  showLatency(source, known.latencies.get(source?.source) ?? []);
  showCounts(source);
  showHealth(source);
  showLanes(names, events, nowOf, labels);
  showEvents(names, events, nowOf, labels);
  document.title = record ? `${headline(record).label} · effvit-edge` : "effvit-edge";
}

function showModel(status) {
  const { name, variant, provider } = status?.model ?? {};
  const parts = [
    variant?.startsWith(name) ? variant : [name, variant].filter(Boolean).join(" "),
    provider?.split(" (")[0],
    status && `running for ${duration(status.uptime_s).replace(/\.\d/, "")}`,
  ];
  setText(byId("model"), parts.filter(Boolean).join(" · "));
  byId("model").title = provider ?? "";
}

function showSources(sources, shown) {
  const nav = byId("sources");
  nav.hidden = sources.length < 2;
  const cards = withChildren(nav, nav.hidden ? 0 : sources.length, makeCard);
  cards.forEach((card, i) => {
    const { source, state } = sources[i];
    const { label, score } = headline(known.labels.get(source));
    const [thumb, where, what] = card.children;
    if (card.dataset.source !== source) {
      card.dataset.source = source;
      thumb.firstElementChild.removeAttribute("src");
    }
    card.dataset.state = state;
    card.ariaPressed = String(source === shown);
    card.title = source;
    setText(where.lastElementChild, shortened(source, NAME_LETTERS));
    const now = score === null ? label : `${label} ${percent(score)}`;
    setText(what, state === "playing" ? now : state);
  });
}

function makeCard() {
  const still = make("img");
  still.alt = "";
  const card = make("button", "source", make("span", "thumb", still),
    make("span", "where", make("span", "dot"), make("b")), make("span", "what"));
  card.type = "button";
  card.addEventListener("click", () => {
    chosen = card.dataset.source;
    history.replaceState(null, "", `#${forUrl(chosen)}`);
    drawSoon();
  });
  return card;
}

const picture = openPicture(byId("picture"), () => {
  byId("screen").dataset.empty = "false";
  drawSoon();
});
let onScreen = null;

function showScreen(source) {
  const screen = byId("screen");
  if (source && source.source !== onScreen) {
    onScreen = source.source;
    screen.dataset.empty = "true";
    picture.show(onScreen);
  }
  const state = source?.state ?? "connecting";
  const isRunning = state === "playing";
  const isEmpty = screen.dataset.empty === "true";
  const isPaused = !isRunning && state !== "ended";
  screen.dataset.paused = String(isPaused);
  const waiting = isRunning ? "Waiting for the first picture" : `The source is ${state}`;
  const text = { ended: "The source has ended", failed: "The source has failed" }[state] ?? waiting;
  byId("caption").hidden = !isEmpty && !isPaused;
  setText(byId("caption"), text);
}

function showLink(link) {
  const [state, text, notice] = LINKS[link];
  if (state === "live" && ["lost", "ended"].includes(byId("link").dataset.state)) picture.renew();
  byId("link").dataset.state = state;
  byId("notice").dataset.state = state;
  setText(byId("link"), text);
  byId("notice").hidden = !notice;
  setText(byId("notice"), notice);
  document.body.classList.toggle("stale", state === "lost");
}

setUpRanges(drawSoon);
openFeed(take, showLink);
openStills(() => [...byId("sources").children].map(
  (card) => [card.dataset.source, card.querySelector("img")],
));
