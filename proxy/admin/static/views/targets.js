/** Who answers, and how they feel. */

import { h } from "../dom.js";
import { count, plural, since } from "../format.js";
import { groupName, heading, without } from "../parts.js";

const TONES = { healthy: "good", unavailable: "good", unhealthy: "bad" };

function target(each) {
  const tone = TONES[each.state] || "doubtful";
  const why = [each.reason, each.detail].filter(Boolean).join(": ");
  const notes = [each.slow_start && "slow start", each.anomaly_detection?.result === "anomalous" && "anomalous", each.anomaly_detection?.mitigation_in_effect === "yes" && "gets less"].filter(Boolean);
  return h("li", { key: each.id, class: `target ${tone}` },
    h("p", { class: "state" }, h("i", { class: "lamp", "aria-hidden": "true" }), h("b", null, each.state), h("span", { class: "quiet" }, ` ${since(each.since)}`)),
    h("p", { class: "id" }, each.id, each.host && !each.id.startsWith(each.host) && h("span", { class: "quiet" }, ` ${each.host}`)),
    why && h("p", { class: tone }, why),
    notes.length > 0 && h("p", { class: "doubtful" }, notes.join(", ")),
    h("p", { class: "quiet" }, `${count(each.in_flight)} in flight · ${plural(each.requests, "request")}`));
}

export default {
  id: "targets",
  title: "Targets",
  sources: ["api/target-groups"],
  render({ recent, sources }) {
    const missing = without(sources["api/target-groups"], "Target groups and their health.", "");
    if (missing) return [heading("Targets"), missing];
    const groups = sources["api/target-groups"].data.target_groups;
    const all = groups.flatMap((group) => group.targets);
    const healthy = all.filter((each) => TONES[each.state] === "good").length;
    return [
      heading("Targets", `${healthy} of ${plural(all.length, "target")} take requests.`),
      groups.map((group) => h("section", { key: group.name, class: "card", "aria-label": `Target group ${group.name}` },
        h("h3", null, groupName(group.name, recent.monolith), " ", !group.in_use && h("span", { class: "quiet" }, "no rule forwards to it")),
        group.fail_open && h("p", { class: "bad" }, "No target is healthy, so all of them get requests."),
        group.resolve_error && h("p", { class: "bad" }, group.resolve_error),
        group.targets.length ? h("ul", { class: "target-list" }, group.targets.map(target)) : h("p", { class: "quiet" }, "It has no target."))),
    ];
  },
};
