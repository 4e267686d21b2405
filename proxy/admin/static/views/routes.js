/** The map: each rule, and where its requests go, as wide as what goes there. */

import { h } from "../dom.js";
import { ago, count, percentile, rate, share } from "../format.js";
import { actionText, conditionText, empty, groupName, heading, toneOf, without } from "../parts.js";
import { routeOf } from "../recent.js";

const ROW = 46;
const GAP = 14;
const MOST_BAND = 24;

/** Every (rule, target) with its share of the rule: by weight as written, and by what happened in the last minute. */
function flows(recent, listener, rule) {
  if (rule.action.type !== "forward") {
    return [{ group: "", weight: 1, route: routeOf(recent, listener.name, rule.name, "") }];
  }
  const weights = Object.entries(rule.action.target_groups);
  const sum = weights.reduce((total, [, weight]) => total + weight, 0);
  return weights.map(([group, weight]) => ({ group, weight: sum ? weight / sum : 0, route: routeOf(recent, listener.name, rule.name, group) }));
}

function rateOf(list) {
  return list.reduce((sum, flow) => sum + (flow.route?.rate ?? 0), 0);
}

function map(listener, recent, width) {
  const rules = listener.rules.map((rule) => ({ rule, flows: flows(recent, listener, rule) }));
  const groups = [...new Set(rules.flatMap((each) => each.flows.map((flow) => flow.group)))]
    .sort((a, b) => Number(!recent.monolith.includes(b)) - Number(!recent.monolith.includes(a)) || a.localeCompare(b)).reverse();
  const most = Math.max(...rules.map((each) => rateOf(each.flows)), 1e-9);
  const thick = (flow) => (flow.route?.rate ? Math.max(1.5, (flow.route.rate / most) * MOST_BAND) : 0);
  const left = Math.min(340, width * 0.42);
  const right = width - Math.min(190, width * 0.24);
  const height = rules.length * ROW + 8;
  const needed = groups.map((group) => Math.max(34, rules.flatMap((each) => each.flows).filter((flow) => flow.group === group)
    .reduce((sum, flow) => sum + Math.max(2, thick(flow)), 0)));
  const space = Math.max(GAP, (height - needed.reduce((sum, each) => sum + each, 0)) / (groups.length + 1));
  const boxes = new Map();
  let y = space;
  groups.forEach((group, place) => {
    boxes.set(group, { top: y, height: needed[place], next: y });
    y += needed[place] + space;
  });
  const total = Math.max(height, y);
  const bands = rules.flatMap(({ flows: list, rule }, row) => {
    let from = row * ROW + ROW / 2 - list.reduce((sum, flow) => sum + Math.max(2, thick(flow)), 0) / 2;
    return list.map((flow) => {
      const band = Math.max(2, thick(flow));
      const box = boxes.get(flow.group);
      const [start, end] = [from + band / 2, box.next + band / 2];
      from += band;
      box.next += band;
      const middle = (left + right) / 2;
      const isIdle = !thick(flow);
      return h("path", {
        class: `band ${toneOf(flow.group, recent.monolith)} ${isIdle ? "idle" : ""} ${flow.weight === 0 ? "none" : ""}`,
        d: `M${left} ${start}C${middle} ${start} ${middle} ${end} ${right} ${end}`, "stroke-width": isIdle ? 1 : band,
      }, h("title", null, `${rule.name} to ${flow.group || "the gateway itself"}: weight ${share(flow.weight, 0)}, ${rate(flow.route?.rate ?? 0)}, p95 ${percentile(flow.route?.p95)}`));
    });
  });
  const clip = (text, room) => (text.length * 6.7 > room ? `${text.slice(0, Math.max(4, Math.floor(room / 6.7) - 1))}…` : text);
  return h("svg", { class: "map", width, height: total, viewBox: `0 0 ${width} ${total}`, role: "img",
    "aria-label": `Rules of ${listener.name} and their target groups; the table below has the same.` },
    bands,
    rules.map(({ rule, flows: list }, row) => h("g", { transform: `translate(0 ${row * ROW + ROW / 2})` },
      h("text", { class: "priority", x: 34, y: -3, "text-anchor": "end" }, rule.priority ?? "–"),
      h("text", { class: "name", x: 46, y: -3 }, clip(rule.name, left - 130)),
      h("text", { class: "rate", x: left - 10, y: -3, "text-anchor": "end" }, rate(rateOf(list))),
      h("text", { class: "quiet", x: 46, y: 13 }, clip(rule.conditions.map(conditionText).join("; ") || "everything else", left - 60)))),
    [...boxes].map(([group, box]) => {
      const here = rules.flatMap((each) => each.flows).filter((flow) => flow.group === group);
      const p95 = Math.max(...here.map((flow) => flow.route?.p95 ?? 0));
      const middle = box.top + box.height / 2;
      return h("g", { class: toneOf(group, recent.monolith) },
        h("rect", { class: "box", x: right, y: box.top, width: 5, height: box.height, rx: 2 }),
        h("text", { class: "name", x: right + 14, y: middle - 2 }, clip(group || "the gateway itself", width - right - 16)),
        h("text", { class: "quiet", x: right + 14, y: middle + 14 }, clip(`${rate(rateOf(here))}${p95 ? ` · p95 ${percentile(p95)}` : ""}`, width - right - 14)));
    }));
}

function weightBar(list, monolith) {
  return h("span", { class: "band", title: list.map((flow) => `${flow.group || "answer"} ${share(flow.weight, 0)}`).join(", ") },
    list.map((flow) => h("i", { class: toneOf(flow.group, monolith), style: { width: `${flow.weight * 100}%` } })));
}

function table(listener, recent) {
  const titles = ["Priority", "Rule", "Conditions", "Action", "Requests", "p95", "5xx", "Hits", "Last hit"];
  const numbers = ["Priority", "Requests", "p95", "5xx", "Hits"];
  return h("div", { class: "scroll" }, h("table", { class: "rules" },
    h("caption", null, `Rules of ${listener.name}, in the order they are tried`),
    h("thead", null, h("tr", null, titles.map((title) => h("th", { scope: "col", class: numbers.includes(title) ? "number" : null }, title)))),
    h("tbody", null, listener.rules.map((rule) => {
      const list = flows(recent, listener, rule);
      const routes = list.map((flow) => flow.route).filter(Boolean);
      const errors = routes.reduce((sum, route) => sum + route.errors, 0);
      const p95 = routes.length ? Math.max(...routes.map((route) => route.p95 ?? 0)) : null;
      return h("tr", { key: rule.name, class: rule.hits ? null : "unused" },
        h("td", { class: "number" }, rule.priority ?? "default"), h("th", { scope: "row" }, rule.name),
        h("td", { class: "quiet wide" }, rule.conditions.map(conditionText).join("; ") || "everything else"),
        h("td", { class: "action" }, weightBar(list, recent.monolith), rule.authentication && `${rule.authentication.type}, then `, actionText(rule.action)),
        h("td", { class: "number" }, rate(rateOf(list))), h("td", { class: "number" }, percentile(p95 || null)),
        h("td", { class: `number ${errors ? "bad" : ""}` }, count(errors)), h("td", { class: "number" }, count(rule.hits)),
        h("td", { class: "quiet" }, ago(rule.last_hit)));
    }))));
}

export default {
  id: "routes",
  title: "Route map",
  sources: ["api/rules"],
  render({ recent, sources, width }) {
    const missing = without(sources["api/rules"], "The rules of routes.yaml.", "");
    if (missing) return [heading("Route map"), missing];
    const { listeners } = sources["api/rules"].data;
    const groups = [...new Set(recent.routes.map((route) => route.target_group))].filter(Boolean);
    return [
      heading("Route map", "Rules in the order they are tried, and where their requests went in the last minute. A dotted line is weight without requests.",
        h("p", { class: "key" }, groups.map((group) => groupName(group, recent.monolith)))),
      listeners.length === 0 && empty("No table", "No routes.yaml has been loaded."),
      listeners.map((listener) => h("section", { key: listener.name, class: "card", "aria-label": `Listener ${listener.name}` },
        h("h3", null, `${listener.name} `, h("span", { class: "quiet" }, `${listener.protocol} on port ${listener.port}`)),
        width > 640 && map(listener, recent, width - 34),
        table(listener, recent))),
    ];
  },
};
