/** The frame: which view is open, what it needs, and what to say when the gateway does not answer. */

import { h, show } from "./dom.js";
import { rate } from "./format.js";
import { takeOverview } from "./recent.js";
import candidates from "./views/candidates.js";
import explain from "./views/explain.js";
import live from "./views/live.js";
import overview from "./views/overview.js";
import progress from "./views/progress.js";
import routes from "./views/routes.js";
import targets from "./views/targets.js";
import transactions from "./views/transactions.js";

const VIEWS = [overview, routes, transactions, candidates, progress, targets, live, explain];
const SECONDS = 2;
const MOST_SECONDS = 30;
const TIMEOUT_SECONDS = 20;

const main = document.getElementById("main");
const connection = document.getElementById("connection");

const context = {
  /** Path to {data}, {isMissing} or {error}. */
  sources: {},
  recent: takeOverview(null),
  width: 800,
  /** Draw again with the next frame, or at once. */
  redraw: Object.assign(() => requestAnimationFrame(draw), { now: () => draw() }),
};

let open = null;
let failures = 0;
let timer = null;
let round = 0;

async function get(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000), headers: { accept: "application/json" } });
  if (response.status === 404) return { isMissing: true };
  const data = await response.json();
  return response.ok ? { data } : { error: data.error || `${path} answered ${response.status}` };
}

async function refresh() {
  clearTimeout(timer);
  const mine = ++round;
  const view = open;
  try {
    const last = context.recent.points.at(-1)?.at ?? 0;
    const paths = ["api/status", ...view.sources];
    const [recent, ...answers] = await Promise.all([get(`api/overview?since=${last}`), ...paths.map(get)]);
    if (mine !== round) return;
    paths.forEach((path, place) => { context.sources[path] = answers[place]; });
    if (recent.data) context.recent = takeOverview(recent.data);
    failures = 0;
    sayConnected();
    draw();
  } catch (error) {
    if (mine !== round) return;
    failures += 1;
    sayLost(error);
  }
  const seconds = failures ? Math.min(MOST_SECONDS, 2 ** (failures - 1)) : view.seconds?.(context) ?? SECONDS;
  timer = setTimeout(refresh, seconds * 1000);
}

function sayConnected() {
  document.body.classList.remove("lost");
  const status = context.sources["api/status"]?.data;
  const troubles = context.recent.troubles.filter((each) => each.severity === "error").length;
  connection.className = troubles ? "doubtful" : "good";
  const said = troubles ? `Live · ${troubles} to look at` : "Live";
  if (connection.textContent !== said) connection.textContent = said;
  if (status) {
    document.getElementById("version").textContent = `version ${status.version} · ${rate(context.recent.rate)}`;
  }
}

function sayLost(error) {
  document.body.classList.add("lost");
  connection.className = "bad";
  const seconds = Math.min(MOST_SECONDS, 2 ** (failures - 1));
  connection.textContent = `The gateway does not answer (${error.name === "TimeoutError" ? "no answer in time" : "connection refused"}). `
    + `What you see is from before. Next try in ${seconds} s.`;
}

function draw() {
  context.width = Math.max(280, main.clientWidth - parseFloat(getComputedStyle(main).paddingLeft) * 2);
  show(main, h("div", { key: open.id, class: `view view-${open.id}`, "aria-labelledby": "title", role: "region" }, open.render(context)));
}

function navigate() {
  const id = location.hash.replace(/^#\/?/, "").split("/")[0];
  if (id === "main") return;
  const next = VIEWS.find((view) => view.id === id) || overview;
  if (next === open) {
    open.arrive?.(context, location.hash);
    draw();
    return;
  }
  const isFirst = open === null;
  open?.leave?.(context);
  open = next;
  document.title = `${open.title} · Strangler Fig`;
  open.arrive?.(context, location.hash);
  show(document.getElementById("views"), h("ul", null, VIEWS.map((view) => h("li", null,
    h("a", { href: `#/${view.id}`, "aria-current": view === open ? "page" : null }, view.title)))));
  draw();
  document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  scrollTo(0, 0);
  if (!isFirst) document.getElementById("title")?.focus({ preventScroll: true });
  refresh();
}

addEventListener("hashchange", navigate);
addEventListener("resize", () => context.redraw());
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) refresh();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
navigate();
