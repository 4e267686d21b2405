/** How much of the monolith has moved, what can be deleted, which rules nobody needs. */

import { timeChart } from "../charts.js";
import { h } from "../dom.js";
import { ago, clock, count, day, share } from "../format.js";
import { empty, heading, without } from "../parts.js";

const MOST_POINTS = 240;
const SUMS = ["monolith_requests", "moved_requests", "monolith_seconds", "moved_seconds"];

const states = { requests: {}, seconds: {} };

/** Years of points in as many as a chart can show: each the sum of an equal part of the time. */
function thinned(points) {
  if (points.length <= MOST_POINTS) return points;
  const first = points[0].at;
  const step = (points.at(-1).at - first) / (MOST_POINTS - 1);
  return [...Map.groupBy(points, (point) => Math.floor((point.at - first) / step)).values()].map((group) => ({
    at: group.at(-1).at, ...Object.fromEntries(SUMS.map((name) => [name, group.reduce((sum, point) => sum + point[name], 0)])),
  }));
}

function burnDown(points, what, label, width, redraw) {
  const times = points.map((point) => point.at);
  const left = points.map((point) => {
    const sum = point[`monolith_${what}`] + point[`moved_${what}`];
    return sum ? point[`monolith_${what}`] / sum : null;
  });
  const isLong = times.length && times.at(-1) - times[0] > 172_800;
  return h("section", { class: "card" }, timeChart({
    label, times, width, stacked: true, most: 1, format: (value) => share(value, 0), formatTime: isLong ? day : clock, state: states[what], redraw,
    series: [
      { name: "monolith", tone: "trunk", values: left },
      { name: "moved", tone: "fig", values: left.map((value) => (value === null ? null : 1 - value)) },
    ],
  }));
}

function ready(list) {
  return h("section", { class: "card" }, h("h3", null, "Ready to delete"),
    list.length === 0 ? h("p", { class: "quiet" }, "Every transaction that the monolith was seen to serve is still used.")
      : h("div", { class: "scroll" }, h("table", null, h("caption", { class: "unseen" }, "Transactions of the monolith without a hit"),
        h("thead", null, h("tr", null, h("th", { scope: "col" }, "Transaction"), h("th", { scope: "col", class: "number" }, "Days without a hit"), h("th", { scope: "col" }, "Last hit"))),
        h("tbody", null, list.map((each) => h("tr", null, h("th", { scope: "row" }, h("code", null, each.transaction)),
          h("td", { class: "number" }, Math.floor(each.days)), h("td", { class: "quiet" }, ago(each.last_hit))))))));
}

function coverage(rules) {
  const order = rules.toSorted((a, b) => Number(b.never) - Number(a.never) || a.hits - b.hits);
  return h("section", { class: "card" }, h("h3", null, "Rules by use"),
    h("div", { class: "scroll" }, h("table", null, h("caption", { class: "unseen" }, "Hits of each rule and of each value of its conditions"),
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "Rule"), h("th", { scope: "col", class: "number" }, "Hits"), h("th", { scope: "col" }, "Last hit"), h("th", { scope: "col" }, "Values that never matched"))),
      h("tbody", null, order.map((each) => {
        const unused = each.conditions.filter((condition) => !condition.hits).map((condition) => `${condition.field}: ${condition.value}`);
        return h("tr", { class: each.hits ? null : "unused" }, h("th", { scope: "row" }, each.rule, " ", h("span", { class: "quiet" }, each.listener)),
          h("td", { class: "number" }, count(each.hits)), h("td", { class: "quiet" }, ago(each.last_hit)),
          h("td", { class: each.shadowed_by ? "bad" : "quiet" }, each.shadowed_by ? `can never win: ${each.shadowed_by} takes all of it` : unused.slice(0, 6).join(", ") || "–"));
      })))));
}

export default {
  id: "progress",
  title: "Progress",
  sources: ["api/progress", "api/coverage"],
  seconds: () => 10,
  render({ sources, width, redraw, recent }) {
    const progress = sources["api/progress"];
    const rules = sources["api/coverage"];
    const half = width > 900 ? (width - 16) / 2 - 34 : width - 34;
    const missing = without(progress, "How much of the monolith has moved is kept on disk over time.", "This gateway does not keep it.");
    const points = thinned(progress?.data?.points || []);
    const last = points.at(-1);
    const sum = last ? last.monolith_requests + last.moved_requests : 0;
    return [
      heading("Progress", sum ? `${share(last.moved_requests / sum)} of the requests have moved.` : recent.moved !== null ? `${share(recent.moved)} of the requests of the last minute were served by extracted services.` : "What has moved out of the monolith, over time."),
      missing || (points.length < 2
        ? empty("The first point is still to come", "A point is made every minute and kept on disk. Come back in a while, or after your next shift:", "strangler shift users monolith=50 users=50")
        : h("div", { class: "pair" }, burnDown(points, "requests", "Share of requests", half, redraw), burnDown(points, "seconds", "Share of time", half, redraw))),
      progress?.data && ready(progress.data.ready_to_delete),
      rules?.data && coverage(rules.data.rules),
    ];
  },
};
