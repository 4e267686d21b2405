/** What several views are made of. */

import { h } from "./dom.js";
import { share } from "./format.js";

/** A view's heading, and what it says in one line. */
export function heading(title, text, ...rest) {
  return h("div", { class: "heading" }, h("div", null, h("h2", { id: "title", tabindex: "-1" }, title), text && h("p", { class: "quiet" }, text)), rest);
}

/** Nothing to show yet: why, and what to do about it. */
export function empty(title, text, command) {
  return h("div", { class: "empty" }, h("p", { class: "title" }, title), h("p", null, text), command && h("pre", null, command));
}

/** What stands in place of a source that has no data: null when it has. */
export function without(source, what, remedy) {
  if (!source) return empty("Loading…", what);
  if (source.isMissing) return empty("Not measured here", `${what} ${remedy}`);
  if (source.error) return empty("No answer", source.error);
  return null;
}

export function bar(value, tone = "accent") {
  return h("span", { class: "bar" }, h("i", { class: tone, style: { width: `${Math.max(0, Math.min(1, value)) * 100}%` } }), h("span", null, share(value)));
}

/** The colour of a target group: what is left of the trunk, or what has grown around it. */
export function toneOf(group, monolith) {
  if (!group) return "answer";
  return monolith.includes(group) ? "trunk" : "fig";
}

export function groupName(group, monolith) {
  return h("span", { class: `group ${toneOf(group, monolith)}` }, h("i", { "aria-hidden": "true" }), group || "the gateway itself");
}

/** A button that copies a text, and says so. */
export function copyButton(text) {
  const copy = async (event) => {
    const button = event.currentTarget;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      const source = button.parentElement.querySelector("pre");
      getSelection().selectAllChildren(source);
      button.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };
  return h("button", { type: "button", class: "copy", onclick: copy }, "Copy");
}

export function conditionText(condition) {
  const name = condition.header_name ? `${condition.field} ${condition.header_name}` : condition.field;
  const pairs = condition.pairs.map((pair) => (pair.key === null ? pair.value : `${pair.key}=${pair.value}`));
  const regexes = condition.regex_values.map((regex) => `/${regex}/`);
  return `${name}: ${[...condition.values, ...regexes, ...pairs].join(" or ")}`;
}

export function actionText(action) {
  if (action.type === "forward") {
    const groups = Object.entries(action.target_groups);
    return groups.length === 1 ? groups[0][0] : groups.map(([group, weight]) => `${group} ${weight}`).join(", ");
  }
  if (action.type === "redirect") {
    const { status_code, protocol, host, port, path, query } = action.redirect;
    const changed = (value, name, written) => (value === `#{${name}}` ? "" : written);
    const [scheme, at] = [changed(protocol, "protocol", `${protocol.toLowerCase()}:` + "//"), changed(port, "port", `:${port}`)];
    const to = [scheme, changed(host, "host", host) || (scheme || at ? "#{host}" : ""), at,
      path === "/#{path}" ? "" : path, changed(query, "query", `?${query}`)].join("");
    return `${status_code} to ${to || "the same place"}`;
  }
  return `answer ${action.fixed_response.status_code}`;
}
