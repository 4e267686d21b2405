/** What to carve out next: benefit against ease, why, and the rule to paste. */

import { h } from "../dom.js";
import { count, duration, plural, share } from "../format.js";
import { bar, copyButton, empty, heading, without } from "../parts.js";

const MOST_DOTS = 10;

const state = { chosen: null };

const PARTS = {
  demand_share: "Share of demand", tail_pain_share: "Share of the slow tail", relief_share: "Relief of the monolith",
  write_share: "Writes", session_crossing: "Crosses sessions", state_penalty: "Keeps state", streaming_or_upload: "Streams or uploads",
};

function plot(candidates, width, choose) {
  const height = Math.min(380, Math.max(260, width * 0.5));
  const pad = { left: 44, right: 24, top: 18, bottom: 40 };
  const inner = { width: width - pad.left - pad.right, height: height - pad.top - pad.bottom };
  const most = Math.max(...candidates.map((each) => each.benefit), 0.01) * 1.3;
  const x = (ease) => pad.left + Math.min(1, Math.max(0, ease)) * inner.width;
  const y = (benefit) => pad.top + inner.height - (Math.max(0, benefit) / most) * inner.height;
  const keys = (event, each) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose(each);
    }
  };
  const radius = (each) => 9 + 13 * Math.sqrt(Math.min(1, each.share.value));
  return h("svg", { class: "plot", width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Candidates by ease, to the right, and benefit, upwards" },
    h("rect", { class: "best", x: x(0.5), y: pad.top, width: inner.width / 2, height: inner.height / 2 }),
    h("text", { class: "corner", x: x(1) - 10, y: pad.top + 18, "text-anchor": "end" }, "carve out first"),
    h("text", { class: "corner", x: x(0) + 10, y: pad.top + 18 }, "worth it, but hard"),
    [0, 0.5, 1].map((part) => [
      h("line", { class: "grid", x1: x(part), x2: x(part), y1: pad.top, y2: pad.top + inner.height }),
      h("line", { class: "grid", x1: pad.left, x2: pad.left + inner.width, y1: pad.top + part * inner.height, y2: pad.top + part * inner.height }),
    ]),
    h("text", { class: "axis", x: pad.left + inner.width / 2, y: height - 10, "text-anchor": "middle" }, "ease →"),
    h("text", { class: "axis", transform: `translate(16 ${pad.top + inner.height / 2}) rotate(-90)`, "text-anchor": "middle" }, "benefit →"),
    candidates.toReversed().map((each) => h("g", {
      key: each.name, class: `dot grade-${each.grade} ${state.chosen === each.name ? "chosen" : ""}`, role: "button", tabindex: "0",
      "aria-pressed": String(state.chosen === each.name),
      "aria-label": `${each.rank}: ${each.name}, benefit ${each.benefit.toFixed(2)}, ease ${each.ease.toFixed(2)}, confidence ${each.grade}`,
      transform: `translate(${x(each.ease).toFixed(1)} ${y(each.benefit).toFixed(1)})`, onclick: () => choose(each), onkeydown: (event) => keys(event, each),
    }, h("circle", { r: radius(each) }), h("text", { y: 4, "text-anchor": "middle" }, each.rank), h("title", null, each.name))));
}

function parts(title, value, list, tone) {
  return h("div", { class: "axis-parts" }, h("h5", null, `${title} ${value.toFixed(2)}`),
    h("dl", null, Object.entries(list).map(([name, part]) => [h("dt", null, PARTS[name] || name.replaceAll("_", " ")),
      h("dd", null, typeof part === "number" ? bar(part, tone) : String(part))])));
}

function change(before, after, format) {
  return before === undefined ? format(after) : `${format(before)} → ${format(after)}`;
}

/** What to put into routes.yaml, or why there is nothing to put there. */
function pasted(each) {
  if (!each.rule) {
    return h("p", { class: "note" }, each.rule_note ? `Nothing to paste: ${each.rule_note}.` : "No ALB pattern covers it without covering other transactions, too: it needs a path of its own first.");
  }
  const piece = (title, text, label) => h("div", { class: "rule" }, h("h5", null, title), copyButton(text), h("pre", { tabindex: "0", "aria-label": label }, text));
  return [
    piece(`Rule to paste${each.rule_listener ? `, under rules: of listener ${each.rule_listener}` : ""}`, each.rule, "Rule for routes.yaml"),
    each.rule_target_group && piece("Its target group, under target_groups:", each.rule_target_group, "Target group for routes.yaml"),
    each.rule_note && h("p", { class: "doubtful" }, `Mind: ${each.rule_note}`),
  ];
}

function card(each) {
  const without_ = each.without;
  return h("article", { class: "card candidate", "aria-labelledby": "candidate-title" },
    h("header", null, h("h3", { id: "candidate-title", tabindex: "-1" }, `${each.rank}. ${each.name}`),
      h("span", { class: `grade grade-${each.grade}`, title: "How sure this is" }, `confidence ${each.grade}`)),
    h("ul", { class: "reasons" }, each.reasons.map((reason) => h("li", null, reason))),
    h("p", null, h("b", null, share(each.share.value)), " of the monolith's demand ",
      h("span", { class: "quiet" }, `(between ${share(each.share.low)} and ${share(each.share.high)}); among the first in ${share(each.stability, 0)} of resamplings`)),
    h("div", { class: "pair" }, parts("Benefit", each.benefit, each.benefit_parts, "fig"), parts("Ease", each.ease, each.ease_parts, "trunk")),
    each.transactions.length > 1 && h("div", null, h("h5", null, "Moves together"), h("ul", { class: "names" }, each.transactions.map((name) => h("li", null, h("code", null, name))))),
    pasted(each),
    without_ && h("div", null, h("h5", null, "The monolith without it"), h("dl", { class: "facts" },
      h("dt", null, "Requests in flight"), h("dd", null, change(without_.requests_in_flight_now, without_.requests_in_flight, (value) => value.toFixed(2))),
      h("dt", null, "Of its time goes"), h("dd", null, share(without_.time_share)),
      h("dt", null, "p95 of the rest"), h("dd", null, change(without_.p95_of_rest_now, without_.p95_of_rest, duration),
        h("span", { class: "quiet" }, ` (between ${duration(without_.low)} and ${duration(without_.high)})`)))));
}

export default {
  id: "candidates",
  title: "Candidates",
  sources: ["api/candidates"],
  seconds: () => 10,
  render({ sources, width, redraw }) {
    const source = sources["api/candidates"];
    const missing = without(source, "Candidates are ranked from what transactions cost the monolith.", "This gateway does not rank them: it is older than its page.");
    if (missing) return [heading("Candidates"), missing];
    const answer = source.data;
    const list = answer.candidates;
    if (!list.length) {
      return [heading("Candidates", "What to carve out of the monolith next."),
        empty(answer.state === "collecting" ? "Collecting" : "Nothing left to rank",
          answer.state === "collecting"
            ? `${plural(answer.requests ?? 0, "request")} in ${duration(answer.seconds ?? 0)} are too few to tell one transaction from another. Leave the gateway in front of real traffic; or rank from the logs that you have:`
            : "The monolith served no transaction in this window.",
          answer.state === "collecting" ? "strangler candidates --from access.log.gz" : null)];
    }
    const chosen = list.find((each) => each.name === state.chosen) || list[0];
    state.chosen = chosen.name;
    const choose = (each) => {
      state.chosen = each.name;
      redraw();
    };
    const isWide = width > 1000;
    const plotWidth = isWide ? Math.floor(width * 0.54) - 34 : width - 34;
    return [
      heading("Candidates", `From ${plural(answer.requests, "request")} in ${duration(answer.seconds)}${answer.source === "live" ? ", live" : ` of ${answer.source}`}. Larger dots carry more of the monolith's demand.`,
        answer.confidence && h("p", { class: `grade grade-${answer.confidence}` }, `confidence ${answer.confidence}`)),
      h("div", { class: `pair ${isWide ? "plotted" : "stacked"}` },
        h("div", null,
          h("section", { class: "card" }, plot(list.filter((each) => each.rank <= MOST_DOTS || each === chosen), plotWidth, choose)),
          h("section", { class: "card scroll" }, h("table", { class: "ranking" }, h("caption", null, "In order of priority"),
            h("thead", null, h("tr", null, ["", "Candidate", "Share", "Benefit", "Ease", "Sure"].map((title, place) => h("th", { scope: "col", class: place === 0 || place > 1 ? "number" : null }, title)))),
            h("tbody", null, list.map((each) => h("tr", { key: each.name, "aria-selected": String(each === chosen) },
              h("td", { class: "number" }, each.rank),
              h("th", { scope: "row" }, h("button", { type: "button", class: "link", onclick: () => choose(each) }, each.name)),
              h("td", { class: "number" }, share(each.share.value)), h("td", { class: "number" }, each.benefit.toFixed(2)),
              h("td", { class: "number" }, each.ease.toFixed(2)), h("td", { class: "number" }, each.grade))))))),
        card(chosen)),
      answer.state === "collecting" && h("p", { class: "doubtful" }, "Still collecting: with less than a day of traffic, or few requests, the order may change."),
      Boolean(answer.bundles?.length) && h("section", { class: "card" }, h("h3", null, "Bundles"),
        h("p", { class: "quiet" }, "Transactions of the same sessions, better moved in one step."),
        h("ul", { class: "bundles" }, answer.bundles.map((bundle) => h("li", null, (bundle.transactions || []).map((name) => h("code", null, name)))))),
      answer.candidates.length > 0 && h("p", { class: "quiet" }, `${count(list.length)} candidates. It is fine to keep a central monolith.`),
    ];
  },
};
