// The sections of the page, each filled from an overview.

import { chartCell, nameCell, peak, textCell, troubleCell } from "./cells.js";
import { Bar } from "./charts.js";
import { UNKNOWN, bytes, clock, count, duration, milliseconds, plural, printable, rate } from "./format.js";
import { Rows, Table, add, setAttribute, setText } from "./tables.js";

/** Seconds that a call must have taken to be listed. Shorter ones would only flicker. */
const LONG_CALL = 1;
const MAX_CALLS = 10;
const MAX_ERRORS = 12;

const find = (id) => document.getElementById(id);
const process = (item) => (item.process ? `process ${item.process}` : "");
const speed = (value) => `${rate(value)}/s`;
const joined = (...texts) => texts.filter((text) => text).join(" · ");

/**
 * Prepare the sections.
 *
 * @param {History} history the last minutes.
 * @returns {(overview: object, isLive: boolean) => void} fills them; without isLive the overview is old, and no rate
 *   is shown.
 */
export function sections(history) {
  let isLive = false;
  const rateOf = (name) => (isLive ? history.rate(name) : null);
  const perSecond = (name) => speed(rateOf(name));
  const parts = [
    glance(history, perSecond),
    consumers(history, perSecond),
    routes(history),
    workers(history, perSecond),
    connections(history, rateOf),
    ledger(),
    calls(),
    errors(),
  ];
  return (overview, live) => {
    isLive = live;
    for (const update of parts) update(overview);
  };
}

function glance(history, perSecond) {
  const tile = (id, series, now, below) =>
    chartCell(history, () => series, now, below)(find(id).querySelector(".cell"));
  const updates = [
    tile("glance-received", "received", () => perSecond("received"), peak(speed)),
    tile("glance-confirmed", "confirmed", () => perSecond("confirmed"), peak(speed)),
    tile("glance-waiting", "waiting", (overview) => count(overview.total.waiting), peak(count)),
    tile("glance-failed", "failed", () => count(history.growth("failed")), () => `in ${duration(history.span)}`),
  ];
  const failed = find("glance-failed").querySelector(".number");
  return (overview) => {
    for (const update of updates) update(overview);
    setAttribute(failed, "data-warns", failed.textContent === "0" ? null : "");
  };
}

function consumers(history, perSecond) {
  const series = (name) => (item) => `consumer/${item.key}/${name}`;
  const idle = (item) => joined(
    item.idle === null ? "" : `last message ${duration(item.idle)} ago`,
    item.lag === null ? "" : `${count(item.lag)} still in the stream`,
  );
  const table = new Table(find("consumers"), [
    nameCell((item) => item.name, idle),
    chartCell(history, series("received"), (item) => perSecond(series("received")(item)), peak(speed)),
    chartCell(history, series("waiting"), (item) => count(item.waiting), peak(count)),
    textCell((item) => count(item.received), (item) => `${count(item.in_progress)} in progress`),
    troubleCell(history, (item) => item.failed, series("failed")),
    troubleCell(history, (item) => item.dropped, series("dropped")),
  ]);
  return (overview) => table.update(overview.consumers);
}

function routes(history) {
  const series = (name) => (item) => `route/${item.key}/${name}`;
  const running = (item) => joined(
    `${count(item.in_progress)} in progress`,
    item.waiting ? `${count(item.waiting)} waiting` : "",
  );
  const lost = (item) => (item.not_dead_lettered ? `▲ ${count(item.not_dead_lettered)} could not be` : "");
  const table = new Table(find("routes"), [
    nameCell((item) => item.route, running),
    (cell) => {
      const bar = new Bar(cell, ["succeeded", "failed", "running"]);
      return (item) => bar.update([item.succeeded, item.failed, item.in_progress + item.waiting]);
    },
    textCell((item) => count(item.succeeded)),
    troubleCell(history, (item) => item.failed, series("failed")),
    textCell((item) => count(item.retried)),
    textCell((item) => count(item.dead_lettered), lost, () => true),
  ]);
  return (overview) => table.update(overview.routes);
}

function workers(history, perSecond) {
  const series = (name) => (item) => `worker/${item.key}/${name}`;
  const table = new Table(find("workers"), [
    nameCell((item) => item.name, process),
    chartCell(history, series("confirmed"), (item) => perSecond(series("confirmed")(item)), peak(speed)),
    textCell((item) => count(item.in_progress), (item) => bytes(item.bytes_held)),
    textCell((item) => count(item.confirmed)),
    troubleCell(history, (item) => item.failed, series("failed")),
    troubleCell(history, (item) => item.resent, series("resent")),
  ]);
  return (overview) => table.update(overview.workers);
}

function connections(history, rateOf) {
  const both = (name) => textCell(
    (item) => speed(rateOf(`connection/${item.key}/messages_${name}`)),
    (item) => `${bytes(rateOf(`connection/${item.key}/bytes_${name}`))}/s`,
  );
  const state = (cell) => {
    const first = add(cell, "span", "state");
    const second = add(cell, "span", "below");
    return (item) => {
      setText(first, item.state.replaceAll("_", " "));
      setAttribute(first, "data-state", item.state === "connected" ? "good" : "bad");
      setText(second, item.last_error === null ? "" : printable(item.last_error));
      setAttribute(second, "data-warns", "");
    };
  };
  const table = new Table(find("connections"), [
    nameCell((item) => item.purpose, (item) => joined(item.server ?? "no server", process(item))),
    state,
    textCell((item) => milliseconds(item.rtt)),
    troubleCell(history, (item) => item.reconnects, (item) => `connection/${item.key}/reconnects`),
    both("in"),
    both("out"),
  ]);
  return (overview) => table.update(overview.connections);
}

function ledger() {
  const equation = (id, whole, parts) => {
    const table = find(id);
    const cells = (name) => table.querySelector(`[data-part="${name}"]`);
    return (account) => {
      const sum = parts.reduce((total, name) => total + account[name], 0);
      for (const name of [whole, ...parts]) setText(cells(name), count(account[name]));
      for (const name of parts) setAttribute(cells(name), "data-zero", account[name] === 0 ? "" : null);
      setText(cells("sum"), count(sum));
      const difference = account[whole] - sum;
      setText(cells("verdict"), difference === 0 ? "✓ adds up" : `▲ ${count(difference)} unaccounted for`);
      setAttribute(cells("verdict"), "data-warns", difference === 0 ? null : "");
    };
  };
  const received = equation("ledger-received", "received", [
    "succeeded", "failed", "handed_back", "dropped", "in_progress", "waiting",
  ]);
  const published = equation("ledger-published", "published", ["confirmed", "failed", "dropped", "in_progress"]);
  return (overview) => {
    received(overview.total);
    published(overview.publisher);
  };
}

function calls() {
  const section = find("calls");
  const table = new Table(section, [
    nameCell((item) => item.route, (item) => joined(item.subject, process(item))),
    textCell((item) => duration(item.age)),
  ]);
  return (overview) => {
    const long = overview.calls.filter((item) => item.age >= LONG_CALL);
    table.update(long.slice(0, MAX_CALLS));
    setText(find("calls-count"), count(overview.calls_in_flight));
    const others = overview.calls_in_flight - Math.min(long.length, MAX_CALLS);
    setText(find("calls-others"), long.length && others ? `and ${plural(others, "other call")}` : "");
  };
}

function errors() {
  const section = find("errors");
  const list = section.querySelector("ol");
  const rows = new Rows(list, () => {
    const element = document.createElement("li");
    const head = add(element, "p", "error-head");
    const [time, level] = [add(head, "time"), add(head, "span", "level")];
    const body = add(element, "div");
    const [text, where] = [add(body, "p", "error-text"), add(body, "p", "below")];
    const update = (item) => {
      setText(time, clock(item.time));
      setAttribute(time, "datetime", new Date(item.time * 1000).toISOString());
      setText(level, item.level === "warn" ? "warning" : item.level);
      setAttribute(level, "data-level", item.level);
      setText(where, printable(joined(item.namespace, process(item))));
      setText(text, printable(item.text));
    };
    return { element, update };
  });
  return (overview) => {
    rows.update(overview.errors.slice(0, MAX_ERRORS));
    list.hidden = overview.errors.length === 0;
    section.querySelector(".empty").hidden = overview.errors.length > 0;
  };
}

/** What the service is: its name, age, version and processes. */
export function facts(overview) {
  const pids = overview.pids;
  setText(find("name"), printable(overview.name));
  setText(find("uptime"), duration(overview.time - overview.started));
  setText(find("version"), overview.version);
  setText(find("pids-label"), pids.length === 1 ? "Process" : `${pids.length} processes`);
  setText(find("pids"), pids.length > 4 ? `${pids.slice(0, 4).join(", ")}, …` : pids.join(", ") || UNKNOWN);
  setText(find("reloads"), count(overview.reloads));
}
