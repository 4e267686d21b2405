/** The first look: how much, how well, how fast, what to look at. */

import { sparkline, timeChart } from "../charts.js";
import { h } from "../dom.js";
import { ago, clock, count, duration, percentile, plural, rate, share } from "../format.js";
import { empty, heading } from "../parts.js";
import { merged } from "../recent.js";

const traffic = {};
const latency = {};

function tile(label, value, text, values, tone) {
  return h("div", { class: "tile" }, h("h3", null, label), h("p", { class: `value ${tone === "bad" ? "bad" : ""}` }, value),
    h("p", { class: "quiet" }, text), sparkline(values, { label: `${label}, the last ten minutes`, tone }));
}

function movedBar(recent) {
  if (recent.moved === null) return null;
  return h("section", { class: "card moved", "aria-labelledby": "moved-title" },
    h("h3", { id: "moved-title" }, `${share(recent.moved)} of the requests no longer reach the monolith`),
    h("div", { class: "band", role: "img", "aria-label": `${share(recent.moved)} moved, ${share(1 - recent.moved)} served by the monolith` },
      h("i", { class: "fig", style: { width: `${recent.moved * 100}%` } }), h("i", { class: "trunk", style: { width: `${(1 - recent.moved) * 100}%` } })),
    h("p", { class: "quiet" }, h("span", { class: "group fig" }, h("i", { "aria-hidden": "true" }), "extracted services"), " ",
      h("span", { class: "group trunk" }, h("i", { "aria-hidden": "true" }), recent.monolith.join(", ") || "no monolith"),
      ` · ${plural(recent.forwarded, "request")} in the last minute`));
}

function troubles(recent) {
  return h("section", { class: "card troubles", "aria-labelledby": "troubles-title" }, h("h3", { id: "troubles-title" }, "To look at"),
    recent.troubles.length
      ? h("ul", null, recent.troubles.map((each) => h("li", { class: each.severity === "error" ? "bad" : "doubtful" },
        h("span", { class: "kind" }, each.kind), each.text)))
      : h("p", { class: "good" }, "Nothing is wrong: table in force, targets healthy, no 5xx in the last minute."));
}

function table(status, groups) {
  const targets = groups?.target_groups.flatMap((group) => group.targets) || [];
  const healthy = targets.filter((target) => ["healthy", "unavailable"].includes(target.state)).length;
  return h("section", { class: "card facts", "aria-labelledby": "facts-title" }, h("h3", { id: "facts-title" }, "Gateway"),
    h("dl", null,
      h("dt", null, "Table"), h("dd", { class: status.reload.successful ? "good" : "bad" },
        status.reload.successful ? `in force, loaded ${ago(status.reload.timestamp)}` : `refused ${ago(status.reload.timestamp)}`),
      h("dt", null, "Loads"), h("dd", null, Object.entries(status.reload.counts).map(([result, number]) => `${number} ${result}`).join(", ") || "1"),
      h("dt", null, "Targets"), h("dd", { class: healthy < targets.length ? "doubtful" : "" }, `${healthy} of ${targets.length} healthy`),
      h("dt", null, "Up"), h("dd", null, duration(status.uptime_seconds)),
      h("dt", null, "Requests"), h("dd", null, count(status.totals.requests)),
      h("dt", null, "Own errors"), h("dd", { class: status.totals.elb_errors ? "doubtful" : "" }, count(status.totals.elb_errors)),
      h("dt", null, "Cut responses"), h("dd", { class: status.totals.cut_responses ? "doubtful" : "" }, count(status.totals.cut_responses))));
}

export default {
  id: "overview",
  title: "Overview",
  sources: ["api/target-groups"],
  render(context) {
    const { recent, sources, width, redraw } = context;
    const points = merged(recent.points);
    const times = points.map((point) => point.at);
    const perSecond = (name) => points.map((point) => point[name] / point.seconds);
    const half = width > 900 ? (width - 16) / 2 - 34 : width - 34;
    const status = sources["api/status"]?.data;
    return [
      heading("Overview", "The last ten minutes, live."),
      points.length === 0 && empty("Waiting for the first moments", "The gateway takes a look at itself every two seconds."),
      h("div", { class: "tiles" },
        tile("Requests", rate(recent.rate), `${plural(recent.inFlight ?? 0, "request")} in flight`, perSecond("requests"), "accent"),
        tile("Errors", share(recent.errorRate, 2), "5xx, the last minute", perSecond("errors"), recent.errorRate > 0.01 ? "bad" : "quiet-tone"),
        tile("p95", percentile(recent.p95), "until the response was sent", points.map((point) => point.p95), "accent"),
        tile("Overhead", duration(recent.overhead), `what the gateway adds; p99 ${duration(recent.overheadP99)}`, points.map((point) => point.overhead_mean), "quiet-tone")),
      h("div", { class: "pair" },
        h("section", { class: "card" }, timeChart({
          label: "Requests a second", times, width: half, stacked: true, format: (value) => rate(value), formatTime: clock, state: traffic, redraw,
          series: [
            { name: "good", tone: "accent", values: points.map((point) => (point.requests - point.errors - point.client_errors) / point.seconds) },
            { name: "4xx", tone: "doubtful", values: perSecond("client_errors") },
            { name: "5xx", tone: "bad", values: perSecond("errors") },
          ],
        })),
        h("section", { class: "card" }, timeChart({
          label: "Response time", times, width: half, format: duration, formatTime: clock, state: latency, redraw,
          series: [
            { name: "p50", tone: "soft", values: points.map((point) => point.p50) },
            { name: "p95", tone: "accent", values: points.map((point) => point.p95) },
            { name: "p99", tone: "strong", values: points.map((point) => point.p99) },
          ],
        }))),
      movedBar(recent),
      h("div", { class: "pair uneven" }, troubles(recent), status && table(status, sources["api/target-groups"]?.data)),
    ];
  },
};
