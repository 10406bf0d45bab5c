// Events as coloured stretches, a lane a source, the newest at the right; and as a list.

import { byId, clock, duration, make, percent, setText, withChildren } from "./view.js";

const RANGES = [["1 min", 60], ["5 min", 300], ["30 min", 1800]];
const AXIS_STEPS = 4;
const LISTED = 20;
const LETTER_PX = 6.5;
const PADDING_PX = 14;
const READABLE_PX = 60; // a longer label, cut off, still says something
const GOLDEN_ANGLE = 137.508;
let range = RANGES[0][1];

/** Draws the buttons for how far back to look, which call `onChange`. */
export function setUpRanges(onChange) {
  const buttons = RANGES.map(([text, seconds]) => {
    const button = make("button", "", text);
    button.type = "button";
    button.addEventListener("click", () => { range = seconds; mark(); onChange(); });
    return [button, seconds];
  });
  function mark() {
    for (const [button, seconds] of buttons) button.ariaPressed = String(seconds === range);
    const cells = withChildren(byId("axis"), AXIS_STEPS + 1, () => make("span"));
    cells.forEach((cell, i) => {
      const ago = range * (1 - i / AXIS_STEPS);
      const text = ago < 60 ? `${ago} s` : `${+(ago / 60).toFixed(1)} min`;
      setText(cell, ago === 0 ? "now" : `−${text}`);
    });
  }
  byId("ranges").append(...buttons.map(([button]) => button));
  mark();
}

/** A label's colour: neighbours in the model's list of labels lie far apart. */
function hue(label, labels) {
  let index = labels.indexOf(label);
  if (index < 0) for (const letter of label) index = (index * 31 + letter.codePointAt(0)) % 9973;
  return String(Math.round(((index + 1) * GOLDEN_ANGLE + 90) % 360));
}

/**
 * @param sources names, in order
 * @param events newest last
 * @param nowOf the present time of a source, in its own seconds
 * @param labels all that the model knows
 */
export function showLanes(sources, events, nowOf, labels) {
  const isMany = sources.length > 1;
  const parts = withChildren(byId("lanes"), sources.length, () =>
    make("div", "", make("p", "lane-name"), make("div", "lane")));
  parts.forEach((part, i) => {
    const [name, lane] = part.children;
    name.hidden = !isMany;
    setText(name, sources[i]);
    showLane(lane, events.filter((one) => one.source === sources[i]), nowOf(sources[i]), labels);
  });
}

function showLane(lane, events, now, labels) {
  const from = now - range;
  const seen = events.filter(({ end_s: end }) => end === null || end > from);
  const segments = withChildren(lane, seen.length, () => make("div", "segment", make("span")));
  segments.forEach((segment, i) => {
    const { label, start_s: start, end_s: end, score } = seen[i];
    const left = Math.max(0, (start - from) / range);
    const right = Math.min(1, ((end ?? now) - from) / range);
    segment.style.left = `${100 * left}%`;
    segment.style.width = `${100 * Math.max(0, right - left)}%`;
    segment.style.setProperty("--hue", hue(label, labels));
    segment.title = `${label}, ${percent(score)}, from ${clock(start)}`;
    const room = lane.clientWidth * (right - left);
    const isReadable = room > Math.min(READABLE_PX, LETTER_PX * label.length + PADDING_PX);
    setText(segment.firstElementChild, isReadable ? label : "");
  });
}

export function showEvents(sources, events, nowOf, labels) {
  byId("no-events").hidden = events.length > 0;
  const newest = events.slice(-LISTED).reverse();
  const rows = withChildren(byId("events"), newest.length, () =>
    make("li", "", make("span", "swatch"), make("span", "what"), make("span", "source-name"),
      make("span", "when"), make("span", "length"), make("span", "share")));
  rows.forEach((row, i) => showEvent(row, newest[i], nowOf, labels, sources.length > 1));
}

function showEvent(row, event, nowOf, labels, isMany) {
  const { label, source, score, start_s: start, end_s: end } = event;
  const [swatch, what, where, when, length, share] = row.children;
  swatch.style.setProperty("--hue", hue(label, labels));
  setText(what, label);
  what.title = label;
  setText(where, isMany ? source : "");
  setText(when, clock(start));
  setText(length, duration(Math.max(0, (end ?? nowOf(source)) - start)));
  setText(share, percent(score));
  row.classList.toggle("going", end === null);
}
