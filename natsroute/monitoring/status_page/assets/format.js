// Numbers, times and received text, as the page shows them.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const TENTHS = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** What stands for a value that is not known. */
export const UNKNOWN = "–";

/** A count, in full: 1,234,567. */
export function count(value) {
  return value === null ? UNKNOWN : WHOLE.format(value);
}

/** A number a second: 0, 0.3, 12.5, 1,234. */
export function rate(value) {
  if (value === null) return UNKNOWN;
  return value === 0 || value >= 99.95 ? WHOLE.format(value) : TENTHS.format(Math.max(value, 0.1));
}

/** Bytes: 0 B, 812 B, 1.2 kB, 34.0 MB. */
export function bytes(value) {
  if (value === null) return UNKNOWN;
  if (value < 999.5) return `${WHOLE.format(value)} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let scaled = value / 1000;
  let unit = 0;
  while (scaled >= 999.95 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${TENTHS.format(scaled)} ${units[unit]}`;
}

/** Seconds as a time that is short: 0.3 ms, 45 ms, 1.2 s. */
export function milliseconds(seconds) {
  if (seconds === null) return UNKNOWN;
  if (seconds >= 1) return `${TENTHS.format(seconds)} s`;
  const value = seconds * 1000;
  return `${value < 9.95 ? TENTHS.format(value) : WHOLE.format(value)} ms`;
}

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** Seconds as a time that may be long, with the two largest units: 8 s, 2 min 5 s, 5 min, 3 d 4 h. */
export function duration(seconds) {
  if (seconds === null) return UNKNOWN;
  let rest = Math.max(0, Math.floor(seconds));
  const first = UNITS.findIndex(([, size]) => rest >= size);
  if (first === -1) return "0 s";
  const parts = [];
  for (const [name, size] of UNITS.slice(first, first + 2)) {
    if (rest >= size) parts.push(`${WHOLE.format(Math.floor(rest / size))} ${name}`);
    rest %= size;
  }
  return parts.join(" ");
}

const two = (value) => String(value).padStart(2, "0");

/** Unix time as the local time of day: 03:12:45; with the date if that is not today. */
export function clock(seconds, now = Date.now() / 1000) {
  const at = new Date(seconds * 1000);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  if (at.toDateString() === new Date(now * 1000).toDateString()) return time;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

// Control characters, marks that turn the direction of text, lone surrogates, and line separators.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;

/** Received text with its invisible characters made visible: \u001b. */
export function printable(text) {
  return text.replace(UNPRINTABLE, (char) => `\\u${char.codePointAt(0).toString(16).padStart(4, "0")}`);
}

/** "1 message", "2 messages". */
export function plural(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}
