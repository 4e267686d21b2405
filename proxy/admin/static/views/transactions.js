/** What people do, and what each of it costs: sortable, with the monolith beside the service that took over. */

import { barlets, histogram } from "../charts.js";
import { h } from "../dom.js";
import { ago, bytes, count, duration, rate, share } from "../format.js";
import { grid, gridState } from "../grid.js";
import { bar, empty, groupName, heading, toneOf, without } from "../parts.js";

const state = { ...gridState("in_flight"), words: "", onlyBoth: false, chosen: null };

const keyOf = (row) => `${row.name}\n${row.target_group}`;

/** What is shown of a row beside its details, where there is little room. */
const FEW = ["name", "target_group", "rate", "in_flight", "mean", "p95"];

function columns(monolith) {
  const number = (id, title, format, hint) => ({ id, title, hint, isNumber: true, value: (row) => row[id], show: (row) => format(row[id]) });
  return [
    { id: "name", title: "Transaction", isHeader: true, class: "name", value: (row) => row.name, show: (row) => row.name },
    { id: "target_group", title: "Served by", value: (row) => row.target_group, show: (row) => groupName(row.target_group, monolith) },
    number("rate", "Rate", rate, "Requests a second"),
    number("in_flight", "Work", (value) => (value === null ? "–" : value.toFixed(2)), "Requests in flight on average: rate times duration (Little's law)"),
    { ...number("error_rate", "Errors", (value) => share(value, 2)), show: (row) => h("span", { class: row.error_rate > 0.01 ? "bad" : null }, share(row.error_rate, 2)) },
    { id: "histogram", title: "Latency", show: (row) => row.histogram && barlets(row.histogram.counts, { tone: toneOf(row.target_group, monolith) }) },
    number("mean", "Mean", duration),
    number("p95", "p95", duration),
    number("p99", "p99", duration),
    { ...number("time_share", "Time share", share, "Of all the time that its target group spent"), show: (row) => bar(row.time_share, toneOf(row.target_group, monolith)) },
    number("bandwidth", "Bandwidth", (value) => `${bytes(value)}/s`),
    { id: "last_hit", title: "Last hit", value: (row) => row.last_hit, show: (row) => h("span", { class: "quiet" }, ago(row.last_hit)) },
  ];
}

const FACTS = [
  ["Rate", (row) => rate(row.rate)], ["Mean", (row) => duration(row.mean), "mean"], ["p50", (row) => duration(row.p50), "p50"],
  ["p95", (row) => duration(row.p95), "p95"], ["p99", (row) => duration(row.p99), "p99"],
  ["Quiet mean", (row) => duration(row.quiet_mean), "quiet_mean"], ["First byte", (row) => duration(row.first_byte_mean), "first_byte_mean"],
  ["Time share", (row) => share(row.time_share)], ["Demand share", (row) => share(row.demand_share)],
  ["Errors", (row) => share(row.error_rate, 2)], ["Writes", (row) => share(row.write_share, 0)],
  ["Request size", (row) => bytes(row.request_bytes / row.requests)], ["Response size", (row) => bytes(row.response_bytes / row.requests)],
  ["CPU share", (row) => share(row.cpu_share)], ["Database share", (row) => share(row.database_share)],
];

function ratio(one, two) {
  if (!one || !two) return "–";
  const value = two / one;
  return `× ${value >= 10 ? value.toFixed(0) : value.toFixed(2)}`;
}

function details(rows, monolith, width, close) {
  const ordered = rows.toSorted((a, b) => Number(monolith.includes(b.target_group)) - Number(monolith.includes(a.target_group)));
  const isPair = ordered.length === 2;
  return h("section", { class: "card details", "aria-labelledby": "details-title" },
    h("header", null, h("h3", { id: "details-title", tabindex: "-1" }, ordered[0].name),
      h("button", { type: "button", class: "close", "aria-label": "Close the details", onclick: close }, "Close")),
    ordered[0].histogram && h("figure", null,
      h("figcaption", null, "How long requests took ", ordered.map((row) => groupName(row.target_group, monolith))),
      histogram({
        label: `Latency of ${ordered[0].name}`, bounds: ordered[0].histogram.bounds, width, format: duration,
        series: ordered.map((row) => ({ name: row.target_group, tone: toneOf(row.target_group, monolith), counts: row.histogram.counts })),
      })),
    h("div", { class: "scroll" }, h("table", null,
      h("caption", { class: "unseen" }, "Figures by target group"),
      h("thead", null, h("tr", null, h("th", { scope: "col" }, ""), ordered.map((row) => h("th", { scope: "col", class: "number" }, groupName(row.target_group, monolith))),
        isPair && h("th", { scope: "col", class: "number" }, "Change"))),
      h("tbody", null, FACTS.map(([title, show, id]) => h("tr", null, h("th", { scope: "row" }, title), ordered.map((row) => h("td", { class: "number" }, show(row))),
        isPair && h("td", { class: "number quiet" }, id ? ratio(ordered[0][id], ordered[1][id]) : "")))))));
}

export default {
  id: "transactions",
  title: "Transactions",
  sources: ["api/transactions"],
  seconds: ({ sources }) => ((sources["api/transactions"]?.data?.transactions.length ?? 0) > 300 ? 5 : 2),
  arrive(context, hash) {
    const name = decodeURIComponent(hash.split("/").slice(2).join("/"));
    if (name) state.chosen = name;
  },
  render({ recent, sources, width, redraw }) {
    const source = sources["api/transactions"];
    const missing = without(source, "Transactions are named and measured from live traffic.", "This gateway does not report them: it is older than its page.");
    if (missing) return [heading("Transactions"), missing];
    const all = source.data.transactions;
    const byName = Map.groupBy(all, (row) => row.name);
    const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = all.filter((row) => words.every((word) => `${row.name} ${row.target_group}`.toLowerCase().includes(word))
      && (!state.onlyBoth || byName.get(row.name).length > 1));
    const chosen = byName.get(state.chosen);
    const choose = (row) => {
      state.chosen = row.name;
      redraw();
      requestAnimationFrame(() => requestAnimationFrame(() => document.getElementById("details-title")?.focus({ preventScroll: width > 1000 })));
    };
    const close = () => {
      state.chosen = null;
      redraw();
      requestAnimationFrame(() => requestAnimationFrame(() => document.querySelector(".grid tr[tabindex='0']")?.focus()));
    };
    const isWide = width > 1000;
    return [
      heading("Transactions", `${count(byName.size)} in the last ${duration(source.data.window.seconds)}. Choose one to see the monolith beside the service that took over.`,
        h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
          h("label", null, h("span", { class: "unseen" }, "Filter"), h("input", { type: "search", placeholder: "Filter by name or group", oninput: (event) => { state.words = event.target.value; redraw(); } })),
          h("label", { class: "check" }, h("input", { type: "checkbox", onchange: (event) => { state.onlyBoth = event.target.checked; redraw(); } }), "served by two"))),
      all.length === 0 ? empty("No transactions yet", "Send some traffic through the gateway: each request gets a name, such as GET /orders/{id}, and is counted under it.", "curl http:" + "//localhost:8080/")
        : h("div", { class: `split ${chosen && isWide ? "open" : ""}`, onkeydown: (event) => { if (event.key === "Escape" && state.chosen) close(); } },
          grid({ label: "Transactions", columns: columns(recent.monolith).filter((column) => !(chosen && isWide) || FEW.includes(column.id)), rows, keyOf, state, redraw, onOpen: choose, isChosen: (row) => row.name === state.chosen }),
          chosen && details(chosen, recent.monolith, Math.min(isWide ? Math.max(400, width * 0.36) - 34 : width - 34, 620), close)),
      all.length > 0 && h("p", { class: "quiet" }, rows.length < all.length ? `${count(rows.length)} of ${count(all.length)} rows` : `${count(all.length)} rows`),
    ];
  },
};
