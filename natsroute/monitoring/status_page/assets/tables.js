// Tables and lists whose rows are kept: only what has changed is written, so that a selection or a screen reader's
// position survives. Text is set as text and never as markup.

/** Set the text of an element, if it is another one. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute of an element, or remove it with null, if it is another one. */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

/** A new element with a class, at the end of another one. */
export function add(parent, name, className = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  parent.append(element);
  return element;
}

/** Keeps one element for each item, in the order of the items. */
export class Rows {
  #parent;
  #create;
  #rows = new Map();

  /**
   * @param {Element} parent of the elements.
   * @param {() => {element: Element, update: (item: any) => void}} create makes an element, and what fills it.
   */
  constructor(parent, create) {
    this.#parent = parent;
    this.#create = create;
  }

  /** @param {{key: string}[]} items each with another key. */
  update(items) {
    const unused = new Map(this.#rows);
    let position = this.#parent.firstElementChild;
    for (const item of items) {
      let row = this.#rows.get(item.key);
      if (row === undefined) this.#rows.set(item.key, (row = this.#create()));
      unused.delete(item.key);
      if (row.element === position) position = position.nextElementSibling;
      else this.#parent.insertBefore(row.element, position);
      row.update(item);
    }
    for (const [key, row] of unused) {
      row.element.remove();
      this.#rows.delete(key);
    }
  }
}

/**
 * A table in a section of the page, with a text that stands there while it has no rows.
 *
 * A column fills its cells: it is called with a new cell, and returns the function that is called with each item. The
 * roles say what display: grid on narrow screens hides from some browsers.
 */
export class Table {
  #table;
  #empty;
  #rows;

  /** @param {((cell: Element) => (item: any) => void)[]} columns in the order of the header. */
  constructor(section, columns) {
    this.#table = section.querySelector("table");
    this.#empty = section.querySelector(".empty");
    const headers = [...this.#table.querySelectorAll("thead th")];
    this.#rows = new Rows(this.#table.tBodies[0], () => {
      const element = document.createElement("tr");
      element.setAttribute("role", "row");
      const updates = columns.map((column, index) => {
        const cell = add(element, index === 0 ? "th" : "td", headers[index].className);
        if (index === 0) cell.scope = "row";
        cell.setAttribute("role", index === 0 ? "rowheader" : "cell");
        cell.dataset.label = headers[index].textContent;
        return column(add(cell, "div", "cell"));
      });
      return { element, update: (item) => updates.forEach((update) => update(item)) };
    });
  }

  update(items) {
    this.#rows.update(items);
    this.#table.hidden = items.length === 0;
    this.#empty.hidden = items.length > 0;
  }
}
