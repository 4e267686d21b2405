/** Which rule takes this request? Nothing is sent. */

import { h } from "../dom.js";
import { groupName, heading } from "../parts.js";

const state = { answer: null, error: null, isAsking: false };

async function ask(event, redraw) {
  event.preventDefault();
  const form = new FormData(event.currentTarget);
  const question = {
    method: form.get("method").trim() || "GET",
    url: form.get("url").trim() || "/",
    header: form.get("headers").split("\n").map((line) => line.trim()).filter(Boolean),
    source_ip: form.get("source").trim() || "127.0.0.1",
  };
  if (form.get("listener")) question.listener = form.get("listener");
  state.isAsking = true;
  redraw();
  try {
    const response = await fetch("api/explain", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(question) });
    const body = await response.json();
    state.answer = response.ok ? body : null;
    state.error = response.ok ? null : body.error;
  } catch {
    state.answer = null;
    state.error = "The gateway does not answer.";
  }
  state.isAsking = false;
  redraw();
  requestAnimationFrame(() => requestAnimationFrame(() => document.getElementById("answer")?.focus({ preventScroll: true })));
}

function outcome(answer, monolith) {
  if (answer.action === "forward" && answer.target_groups) {
    const sum = Object.values(answer.target_groups).reduce((total, weight) => total + weight, 0) || 1;
    return h("ul", { class: "shares" }, Object.entries(answer.target_groups).map(([group, weight]) => h("li", null, groupName(group, monolith), h("b", null, ` ${((100 * weight) / sum).toFixed(0)} %`))));
  }
  if (answer.redirect) return h("p", null, `Answers ${answer.redirect.status} to `, h("code", null, answer.redirect.location));
  if (answer.fixed_response) return h("p", null, `Answers ${answer.fixed_response.status}`, answer.fixed_response.body && h("code", null, ` ${answer.fixed_response.body}`));
  return h("p", null, answer.action);
}

function answered(answer, monolith) {
  return h("section", { id: "answer", class: "card answer", tabindex: "-1", "aria-labelledby": "answer-title" },
    h("h3", { id: "answer-title" }, answer.rule.priority === null ? "The default rule takes it" : `Rule ${answer.rule.name} takes it`,
      h("span", { class: "quiet" }, ` listener ${answer.listener}${answer.rule.priority === null ? "" : `, priority ${answer.rule.priority}`}`)),
    outcome(answer, monolith),
    answer.forwarded && h("p", { class: "quiet" }, "A target gets ", h("code", null, `${answer.forwarded.host ?? ""}${answer.forwarded.target}`)),
    h("h5", null, "In the order they were tried"),
    h("ol", { class: "tried" }, answer.tried.map((each) => h("li", { class: each.matched ? "matched" : null },
      h("b", null, each.name), h("span", { class: "quiet" }, ` ${each.priority ?? "default"} `),
      each.matched ? h("span", { class: "good" }, "matches") : h("span", null, `not: ${each.refused_by?.condition ?? "?"}`,
        each.refused_by?.saw !== null && each.refused_by?.saw !== undefined && h("span", { class: "quiet" }, " saw ", h("code", null, each.refused_by.saw || "nothing")))))));
}

export default {
  id: "explain",
  title: "Which rule?",
  sources: ["api/rules"],
  seconds: () => 10,
  render({ sources, recent, redraw }) {
    const listeners = sources["api/rules"]?.data?.listeners || [];
    const field = (id, label, input, hint) => h("div", { class: "field" }, h("label", { for: id }, label), input, hint && h("p", { id: `${id}-hint`, class: "quiet" }, hint));
    return [
      heading("Which rule takes this request?", "Asked of the table in force. Nothing is sent."),
      h("div", { class: "pair uneven" },
        h("form", { class: "card explain", onsubmit: (event) => ask(event, redraw) },
          h("div", { class: "line" },
            field("method", "Method", h("input", { id: "method", name: "method", list: "methods", size: "7", placeholder: "GET", autocomplete: "off", spellcheck: "false" })),
            field("url", "URL", h("input", { id: "url", name: "url", placeholder: "/api/users/7?x=1", autocomplete: "off", spellcheck: "false", "aria-describedby": "url-hint" }), "A path or a whole URL; taken as written.")),
          h("datalist", { id: "methods" }, ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"].map((method) => h("option", { value: method }))),
          field("headers", "Headers", h("textarea", { id: "headers", name: "headers", rows: "4", placeholder: "User-Agent: mobile", spellcheck: "false", "aria-describedby": "headers-hint" }), "One a line."),
          h("div", { class: "line" },
            field("source", "Source address", h("input", { id: "source", name: "source", placeholder: "127.0.0.1", autocomplete: "off" })),
            field("listener", "Listener", h("select", { id: "listener", name: "listener" }, h("option", { value: "" }, "by the URL's port"),
              listeners.map((listener) => h("option", { value: listener.name }, `${listener.name} (${listener.port})`))))),
          h("button", { type: "submit", class: "primary", disabled: state.isAsking }, "Explain")),
        state.error ? h("section", { id: "answer", class: "card answer", tabindex: "-1", role: "alert" }, h("p", { class: "bad" }, state.error))
          : state.answer ? answered(state.answer, recent.monolith)
            : h("section", { class: "card answer hint" }, h("p", { class: "quiet" }, "The answer names the rule, where it would send the request, and for each rule before it the condition that refused it and what it saw."))),
    ];
  },
};
