// The status page: joins its parts, and says at the top whether the service is ready.

import { clock, duration, plural, printable } from "./format.js";
import { History } from "./history.js";
import { counters, gauges, prepared } from "./measures.js";
import { facts, sections } from "./sections.js";
import { connect } from "./stream.js";
import { Rows, add, setAttribute, setText } from "./tables.js";

/** Seconds after which the newest numbers are old. */
const OLD = 4;

const find = (id) => document.getElementById(id);
const now = () => Date.now() / 1000;

const history = new History();
const fill = sections(history);

/** The newest overview, when it came (by this browser's clock), and since when nothing else is true. */
let newest = null;
let arrived = now();
let failure = "";
/** The overview that is shown, and when it came. The same, unless the page is paused. */
let shown = null;
let shownAt = arrived;
let pausedAt = null;
/** The edition of the page that was loaded. */
let edition = null;
let isDrawing = false;
/** What the top says, and since when. */
let verdict = "";
let verdictSince = arrived;

function judge() {
  if (pausedAt !== null) return "paused";
  if (now() - arrived > OLD || failure) return "lost";
  if (newest === null) return "connecting";
  return newest.reasons.length ? "not-ready" : "ready";
}

const HEADLINES = {
  connecting: "Connecting",
  ready: "Ready",
  "not-ready": "Not ready",
  lost: "No contact",
  paused: "Paused",
};

function explanation(state) {
  switch (state) {
    case "ready":
      return `${plural(newest.consumers.length, "consumer")}, ${plural(newest.workers.length, "publish worker")} and ` +
        `${plural(newest.connections.length, "connection")} are up.`;
    case "not-ready":
      return newest.reasons.length === 1 ? "For this reason:" : `For ${newest.reasons.length} reasons:`;
    case "lost":
      return failure
        ? `natsroute answers, but it has no numbers: ${printable(failure)}`
        : "natsroute does not answer. The page tries again until it does.";
    case "paused":
      return "The page stands still until you resume.";
    default:
      return "Waiting for the first numbers.";
  }
}

/** How old what the page shows is. Not in a live region: it changes each second. */
function age(state) {
  const numbers = shown === null ? "There are no numbers yet." : `All numbers are from ${clock(shownAt)}.`;
  switch (state) {
    case "lost":
      return `Since ${clock(arrived)}, for ${duration(now() - arrived)}. ${numbers}`;
    case "paused":
      return `Since ${clock(pausedAt)}, for ${duration(now() - pausedAt)}. ${numbers}`;
    case "not-ready":
      return `Seen since ${clock(verdictSince)}, for ${duration(now() - verdictSince)}.`;
    default:
      return "";
  }
}

const reasons = new Rows(find("reasons"), () => {
  const element = document.createElement("li");
  const [about, text] = [add(element, "b"), add(element, "span")];
  const update = (item) => {
    setText(about, printable([item.about, item.process ? `process ${item.process}` : ""].filter(Boolean).join(" · ")));
    setText(text, printable(item.text));
  };
  return { element, update };
});

/** Write the top. Called each second, so that ages go on without any event. */
function announce() {
  const state = judge();
  if (state !== verdict) {
    verdict = state;
    verdictSince = now();
    setAttribute(document.body, "data-verdict", state);
    setAttribute(find("icon"), "href", `assets/${state === "ready" ? "icon.svg" : "icon-alarm.svg"}`);
    setAttribute(find("glyph"), "href", `#glyph-${state}`);
  }
  setText(find("headline"), HEADLINES[state]);
  setText(find("explanation"), explanation(state));
  reasons.update(state === "not-ready" ? newest.reasons : []);
  setText(find("age"), age(state));
  const name = newest === null ? "natsroute" : printable(newest.name);
  const title = `${HEADLINES[state]} · ${name}`;
  if (document.title !== title) document.title = title;
}

function draw() {
  isDrawing = false;
  if (shown === null || pausedAt !== null) return;
  facts(shown);
  fill(shown, verdict === "ready" || verdict === "not-ready");
  setText(find("updated"), clock(shown.time));
}

/**
 * Say at once whether the service is ready, because the title and the icon of a page in the background show it. Draw
 * the rest before the next frame, once for all that has arrived.
 */
function update() {
  announce();
  if (!isDrawing) {
    isDrawing = true;
    requestAnimationFrame(draw);
  }
}

connect("events", {
  overview(overview) {
    newest = prepared(overview);
    arrived = now();
    failure = "";
    history.add(newest.time, newest.instance, counters(newest), gauges(newest));
    if (pausedAt === null) [shown, shownAt] = [newest, arrived];
    update();
  },
  failure(text) {
    failure = text;
    update();
  },
  page(loaded) {
    edition ??= loaded;
    if (edition !== loaded) location.reload();
  },
});

find("pause").addEventListener("click", () => {
  pausedAt = pausedAt === null ? now() : null;
  setText(find("pause"), pausedAt === null ? "Pause" : "Resume");
  if (pausedAt === null) [shown, shownAt] = [newest, arrived];
  update();
});

setInterval(update, 1000);
update();
