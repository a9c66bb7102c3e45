// What stands in the cells of tables: names, counts, and rates with their charts.

import { Sparkline } from "./charts.js";
import { count, printable } from "./format.js";
import { BUCKET, WINDOW } from "./history.js";
import { add, setAttribute, setText } from "./tables.js";

const LENGTH = WINDOW / BUCKET;

/** A name that was received, with a line below it. */
export function nameCell(name, below) {
  return (cell) => {
    const [first, second] = [add(cell, "bdi", "name"), add(cell, "span", "below")];
    return (item) => {
      setText(first, printable(name(item)));
      setText(second, printable(below(item)));
    };
  };
}

/** A number or a short text, with a line below it. `warns` says whether that line is a warning. */
export function textCell(text, below = () => "", warns = () => false) {
  return (cell) => {
    const [first, second] = [add(cell, "span", "number"), add(cell, "span", "below")];
    return (item) => {
      setText(first, text(item));
      setText(second, below(item));
      setAttribute(second, "data-warns", warns(item) ? "" : null);
      setAttribute(first, "data-zero", first.textContent === "0" ? "" : null);
    };
  };
}

/** A counter, and below it by how much it has grown in the minutes that the page has seen, which is a warning. */
export function troubleCell(history, value, series) {
  return textCell(
    (item) => count(value(item)),
    (item) => {
      const growth = history.growth(series(item));
      return growth ? `▲ ${count(growth)} new` : "";
    },
    () => true,
  );
}

/** Says which value of a chart is the highest. `unit` writes a number. */
export const peak = (unit) => (values) => {
  const known = values.filter((value) => value !== null);
  return `peak ${unit(known.length ? Math.max(...known) : null)}`;
};

/** A chart of the last minutes, with the number of now beside it, and a text below it. */
export function chartCell(history, series, now, below) {
  return (cell) => {
    cell.classList.add("with-chart");
    const chart = new Sparkline(cell, LENGTH);
    const texts = add(cell, "span", "beside");
    const [first, second] = [add(texts, "span", "number"), add(texts, "span", "below")];
    return (item) => {
      const values = history.chart(series(item));
      chart.update(values);
      setText(first, now(item));
      setText(second, below(values));
    };
  };
}
