// An overview as natsroute sends it, made ready for the page: keys for its rows, and the numbers that are remembered.

/** Give each row a key: its names, and a number if they are there twice. */
function keyed(rows, ...names) {
  const seen = new Map();
  return rows.map((row) => {
    const name = names.map((one) => row[one]).join("\n");
    const number = (seen.get(name) ?? 0) + 1;
    seen.set(name, number);
    return { ...row, key: `${name}\n${number}` };
  });
}

const sum = (rows, value) => rows.reduce((total, row) => total + value(row), 0);

/** Messages of a consumer that no route was called for. */
const dropped = (row) => row.overflowed + row.unclaimed + row.unrouted;

/** The overview with keys and sums. */
export function prepared(overview) {
  const consumers = keyed(overview.consumers, "name").map((row) => ({ ...row, dropped: dropped(row) }));
  return {
    ...overview,
    reasons: keyed(overview.reasons, "process", "code", "about", "text"),
    connections: keyed(overview.connections, "process", "purpose"),
    consumers,
    routes: keyed(overview.routes, "route"),
    workers: keyed(overview.workers, "process", "name"),
    calls: keyed(overview.calls, "process", "route", "subject"),
    errors: keyed(overview.errors, "process", "time", "namespace", "text"),
    instance: `${overview.started} ${overview.pids.join(" ")}`,
    total: Object.fromEntries(
      ["received", "succeeded", "failed", "handed_back", "dropped", "in_progress", "waiting"].map((name) => [
        name,
        sum(consumers, (row) => row[name]),
      ]),
    ),
  };
}

/** The counters of a prepared overview, by name. */
export function counters(overview) {
  const found = new Map([
    ["received", overview.total.received],
    ["failed", overview.total.failed],
    ["confirmed", overview.publisher.confirmed],
    ["publish failed", overview.publisher.failed],
  ]);
  const put = (kind, rows, names) => {
    for (const row of rows) for (const name of names) found.set(`${kind}/${row.key}/${name}`, row[name]);
  };
  put("consumer", overview.consumers, ["received", "failed", "dropped"]);
  put("route", overview.routes, ["failed", "dead_lettered", "retried"]);
  put("worker", overview.workers, ["confirmed", "failed", "resent"]);
  put("connection", overview.connections, ["messages_in", "messages_out", "bytes_in", "bytes_out", "reconnects"]);
  return found;
}

/** The gauges of a prepared overview, by name. */
export function gauges(overview) {
  const found = new Map([["waiting", overview.total.waiting]]);
  for (const row of overview.consumers) found.set(`consumer/${row.key}/waiting`, row.waiting);
  return found;
}
