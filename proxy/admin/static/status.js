"use strict";

const REFRESH_MILLISECONDS = 2000;
const QUANTILE = 0.95;

/** What the refresh before this one saw: rates and latencies are differences. */
let before = null;

function element(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function table(titles, rows) {
  const scroll = element("div", undefined, "scroll");
  const body = element("table");
  const head = element("tr");
  for (const [title, className] of titles) head.append(element("th", title, className));
  body.append(head);
  for (const cells of rows) {
    const row = element("tr");
    cells.forEach(([text, className], column) =>
      row.append(element("td", text, [titles[column][1], className].filter(Boolean).join(" "))));
    body.append(row);
  }
  scroll.append(body);
  return scroll;
}

function conditionText(condition) {
  const name = condition.header_name ? `${condition.field} ${condition.header_name}` : condition.field;
  const pairs = condition.pairs.map((pair) => (pair.key === null ? pair.value : `${pair.key}=${pair.value}`));
  const regexes = condition.regex_values.map((regex) => `/${regex}/`);
  return `${name}: ${[...condition.values, ...regexes, ...pairs].join(" or ")}`;
}

function actionText(action) {
  if (action.type === "forward") {
    return Object.entries(action.target_groups).map(([group, weight]) => `${group} ${weight}`).join(", ");
  }
  if (action.type === "redirect") {
    const { status_code, protocol, host, port, path, query } = action.redirect;
    return `${status_code} to ${protocol}://${host}:${port}${path}${query ? `?${query}` : ""}`;
  }
  return `answer ${action.fixed_response.status_code}`;
}

function duration(seconds) {
  if (seconds === null) return "–";
  return seconds < 1 ? `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms` : `${seconds.toFixed(2)} s`;
}

/** The quantile of a histogram, linear within its bucket, as Prometheus estimates it. */
function quantile(share, bounds, counts) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let seen = 0;
  for (let bucket = 0; bucket < bounds.length; bucket += 1) {
    if (counts[bucket] > 0 && seen + counts[bucket] >= share * total) {
      const low = bucket === 0 ? 0 : bounds[bucket - 1];
      return low + (bounds[bucket] - low) * ((share * total - seen) / counts[bucket]);
    }
    seen += counts[bucket];
  }
  return bounds[bounds.length - 1];
}

function ruleRow(rule, previous, seconds) {
  const counts = rule.durations.counts.map((count, bucket) => count - (previous ? previous.durations.counts[bucket] : 0));
  const requests = counts.reduce((sum, count) => sum + count, 0);
  const restarted = requests < 0;
  const known = previous && seconds > 0 && !restarted;
  const mean = known && requests > 0 ? (rule.durations.sum - previous.durations.sum) / requests : null;
  return [
    [rule.priority === null ? "default" : String(rule.priority)],
    [rule.name],
    [rule.conditions.map(conditionText).join("; ") || "everything else", "quiet"],
    [(rule.authentication ? `${rule.authentication.type}, then ` : "") + actionText(rule.action)],
    [known ? (requests / seconds).toFixed(1) : "–"],
    [duration(mean)],
    [known ? duration(quantile(QUANTILE, rule.durations.bounds, counts)) : "–"],
    [String(rule.hits)],
    [String(rule.errors), rule.errors ? "bad" : ""],
    [rule.last_hit === null ? "never" : new Date(rule.last_hit * 1000).toLocaleTimeString(), "quiet"],
  ];
}

const RULE_TITLES = [["Priority"], ["Rule"], ["Conditions"], ["Action"], ["Requests/s", "number"], ["Mean", "number"],
  ["p95", "number"], ["Hits", "number"], ["5xx", "number"], ["Last hit"]];
const TARGET_TITLES = [["Target"], ["Host"], ["State"], ["Why"], ["In flight", "number"], ["Requests", "number"]];
const STATE_CLASSES = { healthy: "good", unavailable: "good", unhealthy: "bad" };

function showRules(document_, now) {
  const seconds = before ? (now - before.at) / 1000 : 0;
  const seen = new Map();
  const parts = [];
  for (const listener of document_.listeners) {
    parts.push(element("h3", `${listener.name}: ${listener.protocol}, port ${listener.port}`));
    parts.push(table(RULE_TITLES, listener.rules.map((rule) => {
      const key = JSON.stringify([listener.name, rule.name]);
      seen.set(key, rule);
      return ruleRow(rule, before ? before.rules.get(key) : undefined, seconds);
    })));
  }
  document.getElementById("rules").replaceChildren(...parts);
  before = { at: now, rules: seen };
}

function showGroups(document_) {
  const parts = [];
  for (const group of document_.target_groups) {
    parts.push(element("h3", group.name));
    if (!group.in_use) parts.push(element("p", "No rule forwards to it.", "quiet"));
    if (group.fail_open) parts.push(element("p", "No target is healthy, so all of them get requests.", "bad"));
    if (group.resolve_error) parts.push(element("p", group.resolve_error, "bad"));
    parts.push(table(TARGET_TITLES, group.targets.map((target) => [
      [target.id], [target.host, "quiet"], [target.state, STATE_CLASSES[target.state] || "doubtful"],
      [[target.reason, target.detail].filter(Boolean).join(": "), "quiet"],
      [String(target.in_flight)], [String(target.requests)],
    ])));
  }
  document.getElementById("groups").replaceChildren(...parts);
}

function showStatus(status) {
  document.getElementById("version").textContent = `version ${status.version}`;
  const when = status.reload.timestamp ? new Date(status.reload.timestamp * 1000).toLocaleString() : "at the start";
  const reload = document.getElementById("reload");
  reload.className = status.reload.successful ? "good" : "bad";
  reload.textContent = status.reload.successful
    ? `Loaded ${when}.`
    : `The load of ${when} failed; the last good table serves.`;
  document.getElementById("problems").replaceChildren(...status.reload.problems.map((problem) => element("li",
    `${problem.line}:${problem.column} ${problem.severity}: ${problem.path}: ${problem.message}`,
    problem.severity === "error" ? "bad" : "doubtful")));
  const { requests, in_flight, elb_errors, cut_responses } = status.totals;
  const connection = document.getElementById("connection");
  connection.className = "quiet";
  connection.textContent = `${requests} requests, ${in_flight} in flight, ${elb_errors} answered with an error by the `
    + `gateway itself, ${cut_responses} responses cut short`;
}

async function get(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(10 * REFRESH_MILLISECONDS) });
  const body = await response.json();
  if (!response.ok) throw new Error(body.error || `${path} answered ${response.status}`);
  return body;
}

async function refresh() {
  try {
    const [status, rules, groups] = await Promise.all(
      [get("api/status"), get("api/rules"), get("api/target-groups")]);
    showStatus(status);
    showRules(rules, performance.now());
    showGroups(groups);
  } catch (error) {
    const connection = document.getElementById("connection");
    connection.className = "bad";
    connection.textContent = `The gateway does not answer: ${error.message}`;
  }
  setTimeout(refresh, REFRESH_MILLISECONDS);
}

refresh();
