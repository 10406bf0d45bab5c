// Writes values into the page. Text goes in as text only: names and labels come from others.

export const byId = (id) => document.getElementById(id);

/** Sets a text only where it differs, so that selecting and reading aloud are left in peace. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** As many children as asked, made by `build` where there are too few. */
export function withChildren(parent, count, build) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(build());
  return [...parent.children];
}

/** A name as a part of a URL; files may have names that are no text, and URLs may not. */
export const forUrl = (name) => encodeURIComponent(name.replace(/\p{Surrogate}/gu, "\uFFFD"));

/** What such a part stands for, or null where it is none. */
export function fromUrl(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

export const percent = (share) => `${Math.round(100 * share)}%`;

export function count(value) {
  return value === undefined || value === null ? "–" : value.toLocaleString("en-US");
}

/** 72.4 is "1:12.4", 3672.4 is "1:01:12". */
export function clock(seconds) {
  const tenths = Math.round(Math.max(0, seconds) * 10);
  const s = (tenths % 600) / 10;
  const minutes = Math.floor(tenths / 600);
  const two = (number) => String(number).padStart(2, "0");
  if (minutes < 60) return `${minutes}:${s < 10 ? "0" : ""}${s.toFixed(1)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(Math.floor(s))}`;
}

/** 4.23 is "4.2 s", 272 is "4 min 32 s", 100000 is "1 d 3 h". */
export function duration(seconds) {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** "rtsp://camera.local/yard/east" is "rtsp://cam…/yard/east": names differ in their ends. */
export function shortened(name, letters) {
  if (name.length <= letters) return name;
  const end = Math.floor(0.55 * letters);
  return `${name.slice(0, letters - end - 1)}…${name.slice(-end)}`;
}

/** What to show large: the event that goes on, or the best label where none is asked for. */
export function headline(record) {
  if (!record) return { label: "–", score: null, isNone: true };
  if (record.event === undefined) return { label: record.label, score: record.score };
  if (record.event === null) return { label: "no action", score: null, isNone: true };
  const now = record.topk.find(({ label }) => label === record.event.label);
  return { ...record.event, score: now?.score ?? record.event.score };
}

const LONG_LABEL = 18;

export function showNow(record, source) {
  const { label, score, since_s: since, isNone } = headline(record);
  const title = byId("label");
  setText(title, label);
  title.title = label;
  title.classList.toggle("long", label.length > LONG_LABEL);
  title.classList.toggle("none", Boolean(isNone));
  setText(byId("score"), score === null ? "" : percent(score));
  const isWarming = Boolean(record?.warming_up ?? source?.warming_up);
  const line = byId("since");
  line.classList.toggle("warming", isWarming);
  if (isWarming) setText(line, "warming up: a first guess");
  else if (since !== undefined) setText(line, `for ${duration(record.time_s - since)}`);
  else setText(line, record ? `at ${clock(record.time_s)}` : "");
}

export function showBars(record) {
  const best = record?.topk ?? [];
  const rows = withChildren(byId("bars"), best.length, () =>
    make("li", "", make("span", "label"), make("span", "share"),
      make("span", "track", make("span", "level"))));
  rows.forEach((row, rank) => {
    const { label, score } = best[rank];
    const [name, share, track] = row.children;
    setText(name, label);
    name.title = label;
    setText(share, percent(score));
    track.firstElementChild.style.width = percent(score);
  });
}

export function showFill(record, source) {
  const fill = record?.window_fill ?? source?.window_fill;
  byId("fill-row").classList.toggle("warming", fill !== undefined && fill < 1);
  byId("fill").style.width = percent(fill ?? 0);
  setText(byId("fill-text"), fill === undefined ? "–" : percent(fill));
}

export function showCounts(source) {
  setText(byId("fps"), source?.fps?.toFixed(1) ?? "–");
  for (const name of ["labelled", "dropped", "pending"]) setText(byId(name), count(source?.[name]));
}

export function showLatency(source, history) {
  for (const name of ["p50", "p90", "p99"]) {
    const ms = source?.latency_ms?.[name];
    const cell = byId(name);
    if (ms === undefined || ms === null) cell.replaceChildren("–");
    else cell.replaceChildren(ms.toFixed(ms < 100 ? 1 : 0), make("small", "", " ms"));
  }
  const top = Math.max(1e-9, ...history.map(({ p99 }) => p99)) * 1.05;
  for (const name of ["p50", "p99"]) {
    const points = history.map((one, i) =>
      `${240 - (history.length - 1 - i)},${(40 - 38 * (one[name] / top)).toFixed(1)}`);
    byId("spark").querySelector(`.${name}`).setAttribute("points", points.join(" "));
  }
}

export function showHealth(source) {
  const state = source?.state ?? "connecting";
  byId("health").dataset.state = state;
  byId("panel").dataset.outdated = String(state === "reconnecting" || state === "failed");
  setText(byId("state"), state);
  const times = source?.reconnects ?? 0;
  const often = times === 1 ? "once" : `${times} times`;
  setText(byId("reconnects"), times ? `· reconnected ${often}` : "");
  setText(byId("backend"), source?.backend ?? "");
  const error = byId("error");
  error.hidden = !source?.last_error || state === "playing";
  setText(error, source?.last_error ?? "");
}
