/** A table that is sorted by its headers and holds a thousand rows as lightly as ten: only those in sight exist. */

import { h } from "./dom.js";

const ROW = 38;
const MARGIN = 8;

export function gridState(column, isDescending = true) {
  return { column, isDescending, top: 0, focus: null };
}

export function sorted(rows, columns, state) {
  const column = columns.find((each) => each.id === state.column);
  if (!column) return rows;
  const sign = state.isDescending ? -1 : 1;
  return rows.toSorted((a, b) => {
    const [one, two] = [column.value(a), column.value(b)];
    if (one === two) return 0;
    if (one === null || one === undefined) return 1;
    if (two === null || two === undefined) return -1;
    return one < two ? -sign : sign;
  });
}

/** `columns`: [{id, title, value(row), show(row), isNumber, hint}]. `onOpen(row)` when a row is opened,
 * `isChosen(row)` while it is. */
export function grid({ label, columns, rows, keyOf, state, redraw, onOpen, isChosen }) {
  const ordered = sorted(rows, columns, state);
  const height = state.box?.clientHeight || 560;
  const from = Math.max(0, Math.min(Math.floor(state.top / ROW) - MARGIN, ordered.length - 1));
  const to = Math.min(ordered.length, Math.ceil((state.top + height) / ROW) + MARGIN);
  const sort = (column) => {
    state.isDescending = state.column === column.id ? !state.isDescending : Boolean(column.isNumber);
    state.column = column.id;
    redraw();
  };
  const scroll = (event) => {
    state.box = event.currentTarget;
    const before = Math.floor(state.top / ROW);
    state.top = event.currentTarget.scrollTop;
    if (Math.floor(state.top / ROW) !== before) requestAnimationFrame(redraw);
  };
  const focusOn = (index, box) => {
    const place = Math.min(Math.max(index, 0), ordered.length - 1);
    state.focus = keyOf(ordered[place]);
    const top = place * ROW;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + 2 * ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + 2 * ROW - box.clientHeight;
    state.top = box.scrollTop;
    // At once, so that the next key finds the row that this one led to.
    redraw.now();
    box.querySelector("tr[tabindex='0']")?.focus({ preventScroll: true });
  };
  const keys = (event, row, index) => {
    const box = event.currentTarget.closest(".grid");
    const page = Math.max(1, Math.floor(box.clientHeight / ROW) - 2);
    const to_ = { ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + page, PageUp: index - page, Home: 0, End: ordered.length - 1 }[event.key];
    if (to_ !== undefined) {
      event.preventDefault();
      focusOn(to_, box);
    } else if ((event.key === "Enter" || event.key === " ") && onOpen) {
      event.preventDefault();
      onOpen(row);
    }
  };
  const focusable = ordered.some((row) => keyOf(row) === state.focus) ? state.focus : ordered.length ? keyOf(ordered[from]) : null;
  const filler = (rowCount, key) => rowCount > 0 && h("tr", { key, class: "filler", "aria-hidden": "true" },
    h("td", { colspan: columns.length, style: { height: `${rowCount * ROW}px` } }));
  return h("div", { class: "grid", onscroll: scroll },
    h("table", { "aria-label": label, "aria-rowcount": ordered.length + 1 },
      h("thead", null, h("tr", { "aria-rowindex": 1 }, columns.map((column) => h("th", {
        scope: "col", class: column.isNumber ? "number" : null,
        "aria-sort": state.column === column.id ? (state.isDescending ? "descending" : "ascending") : null,
      }, column.value
        ? h("button", { type: "button", title: column.hint, onclick: () => sort(column) }, column.title)
        : column.title)))),
      h("tbody", null,
        filler(from, "above"),
        ordered.slice(from, to).map((row, place) => {
          const key = keyOf(row);
          return h("tr", {
            key, "aria-rowindex": from + place + 2, tabindex: onOpen ? (key === focusable ? "0" : "-1") : null,
            "aria-selected": onOpen ? String(isChosen(row)) : null,
            onclick: onOpen ? () => { state.focus = key; onOpen(row); } : null,
            onkeydown: onOpen ? (event) => keys(event, row, from + place) : null,
          }, columns.map((column) => h(column.isHeader ? "th" : "td", {
            scope: column.isHeader ? "row" : null, class: [column.isNumber ? "number" : "", column.class || ""].join(" ").trim() || null,
          }, column.show(row))));
        }),
        filler(ordered.length - to, "below"))));
}
