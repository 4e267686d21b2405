/** What comes through now. */

import { h } from "../dom.js";
import { bytes, clock, duration, rate } from "../format.js";
import { empty, groupName, heading } from "../parts.js";

const MOST_ROWS = 200;
const BATCH_SECONDS = 0.5;

const state = { rows: [], stream: null, isPaused: false, words: "", isLost: false, seen: [], number: 0 };

function begin(context) {
  if (state.stream) return;
  state.stream = new EventSource("api/live/requests");
  state.stream.onopen = () => { state.isLost = false; context.redraw(); };
  state.stream.onerror = () => {
    // The browser tries again by itself, unless it was refused.
    state.isLost = true;
    if (state.stream?.readyState === EventSource.CLOSED) {
      state.stream = null;
      setTimeout(() => { if (location.hash.startsWith("#/live")) begin(context); }, 3000);
    }
    context.redraw();
  };
  state.stream.addEventListener("requests", (event) => {
    const batch = JSON.parse(event.data);
    state.seen = [...state.seen.slice(-9), batch];
    if (state.isPaused || !batch.entries.length) return;
    for (const entry of batch.entries) {
      state.number += 1;
      state.rows.unshift({ ...entry, number: state.number });
    }
    state.rows.length = Math.min(state.rows.length, MOST_ROWS);
    context.redraw();
  });
}

function end() {
  state.stream?.close();
  state.stream = null;
  state.seen = [];
}

function said() {
  if (state.isLost) return "The stream is interrupted. It is tried again.";
  if (state.isPaused) return "Paused.";
  const seen = state.seen.reduce((sum, batch) => sum + batch.seen, 0);
  const shown = state.seen.reduce((sum, batch) => sum + batch.entries.length, 0);
  const perSecond = state.seen.length ? seen / (state.seen.length * BATCH_SECONDS) : 0;
  return shown < seen ? `${rate(perSecond)}; a fair sample of ${Math.round((100 * shown) / seen)} % is shown.` : `${rate(perSecond)}; every request is shown.`;
}

const tone = (status) => (status >= 500 ? "bad" : status >= 400 || status === 0 ? "doubtful" : "");

export default {
  id: "live",
  title: "Live requests",
  sources: [],
  arrive: begin,
  leave: end,
  render({ recent, redraw }) {
    const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = state.rows.filter((row) => {
      const text = `${row.method} ${row.path} ${row.status} ${row.rule} ${row.target_group} ${row.reason}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    const titles = [["Time"], ["Status", "number"], ["Request"], ["Rule"], ["Served by"], ["Took", "number"], ["Gateway", "number"], ["Size", "number"]];
    return [
      heading("Live requests", said(),
        h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
          h("label", null, h("span", { class: "unseen" }, "Filter"), h("input", { type: "search", placeholder: "Filter, such as: 5 orders", oninput: (event) => { state.words = event.target.value; redraw(); } })),
          h("button", { type: "button", "aria-pressed": String(state.isPaused), onclick: () => { state.isPaused = !state.isPaused; redraw(); } }, state.isPaused ? "Go on" : "Pause"))),
      rows.length === 0
        ? empty(words.length ? "None of the requests shown matches" : "Silence", words.length ? "The filter looks at method, path, status, rule, target group and reason." : "No request has come since this page was opened.")
        : h("div", { class: "grid live" }, h("table", null,
          h("caption", { class: "unseen" }, "Requests, newest first, without queries, headers and addresses"),
          h("thead", null, h("tr", null, titles.map(([title, name]) => h("th", { scope: "col", class: name || null }, title)))),
          h("tbody", null, rows.map((row) => h("tr", { key: row.number },
            h("td", { class: "quiet" }, clock(row.at)),
            h("td", { class: `number ${tone(row.status)}` }, row.status || "–"),
            h("th", { scope: "row", class: "name" }, h("b", null, row.method), " ", row.path, row.has_query && h("span", { class: "quiet" }, "?…"),
              row.reason && h("span", { class: "bad" }, ` ${row.reason}`)),
            h("td", null, row.rule || "–"),
            h("td", null, groupName(row.target_group, recent.monolith)),
            h("td", { class: "number" }, duration(row.seconds)),
            h("td", { class: "number quiet" }, duration(row.overhead)),
            h("td", { class: "number quiet" }, bytes(row.response_bytes))))))),
    ];
  },
};
