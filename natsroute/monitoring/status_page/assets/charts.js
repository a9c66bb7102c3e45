// Small drawings: a line of the last minutes, and a bar of parts. The numbers stand beside them in text.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 100;

function draw(name, parent, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}

const coordinates = (points) => points.map(([x, y]) => `${x} ${y.toFixed(1)}`).join("L");

/** The points of a line, in pieces without gaps. */
function pieces(values, highest) {
  const found = [];
  let piece = null;
  values.forEach((value, index) => {
    if (value === null) piece = null;
    else {
      if (piece === null) found.push((piece = []));
      piece.push([index, HEIGHT - (value / highest) * HEIGHT]);
    }
  });
  return found;
}

/** A line over the last minutes, in an element. Its scale begins at 0 and ends at the highest value. */
export class Sparkline {
  #area;
  #line;
  #end;

  constructor(parent, length) {
    const svg = draw("svg", parent, {
      class: "spark",
      viewBox: `0 -6 ${length - 1} ${HEIGHT + 12}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
      focusable: "false",
    });
    draw("path", svg, { class: "spark-base", d: `M0 ${HEIGHT}H${length - 1}` });
    this.#area = draw("path", svg, { class: "spark-area" });
    this.#line = draw("path", svg, { class: "spark-line" });
    this.#end = draw("path", svg, { class: "spark-end" });
  }

  /** Draw these values; null is a gap. */
  update(values) {
    const highest = Math.max(1, ...values.filter((value) => value !== null));
    const drawn = pieces(values, highest);
    const areas = drawn.map((piece) => {
      const [first, last] = [piece[0][0], piece[piece.length - 1][0]];
      return `M${first} ${HEIGHT}L${coordinates(piece)}L${last} ${HEIGHT}Z`;
    });
    const lines = drawn.map((piece) => `M${coordinates(piece)}${piece.length === 1 ? "h0" : ""}`);
    const last = drawn[drawn.length - 1];
    const isKnown = values[values.length - 1] !== null;
    set(this.#area, areas.join(""));
    set(this.#line, lines.join(""));
    set(this.#end, isKnown ? `M${coordinates(last.slice(-1))}h0` : "");
  }
}

function set(path, d) {
  if (path.getAttribute("d") !== d) path.setAttribute("d", d);
}

/** A bar of parts. A part that is not zero can always be seen. */
export class Bar {
  #parts;

  /** @param {string[]} kinds a class for each part. */
  constructor(parent, kinds) {
    const bar = document.createElement("span");
    bar.className = "bar";
    bar.setAttribute("aria-hidden", "true");
    this.#parts = kinds.map((kind) => {
      const part = document.createElement("span");
      part.className = `bar-${kind}`;
      bar.append(part);
      return part;
    });
    parent.append(bar);
  }

  update(values) {
    const sum = values.reduce((total, value) => total + value, 0);
    values.forEach((value, index) => {
      const part = this.#parts[index];
      part.hidden = value === 0;
      part.style.flexGrow = sum === 0 ? "0" : String(value / sum);
    });
  }
}
