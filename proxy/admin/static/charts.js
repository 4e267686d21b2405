/** Charts as SVG in pixels. Each has a name for those who cannot see it. */

import { h } from "./dom.js";

const PAD = { left: 52, right: 12, top: 10, bottom: 22 };

/** A round number not below `value`, of which halves and quarters are round, too. */
export function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].find((step) => step * power >= value * 0.999) * power;
}

function line(points) {
  let path = "";
  let isDown = false;
  for (const [x, y] of points) {
    if (y === null) isDown = false;
    else {
      path += `${isDown ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
      isDown = true;
    }
  }
  return path;
}

/** A small line without axes. */
export function sparkline(values, { label, tone = "accent", width = 160, height = 34 }) {
  const most = Math.max(...values.filter((value) => value !== null), 1e-9);
  const step = width / Math.max(values.length - 1, 1);
  const points = values.map((value, place) => [place * step, value === null ? null : height - 2 - (value / most) * (height - 5)]);
  return h("svg", { class: `spark ${tone}`, viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    points.length > 1 && h("path", { class: "area", d: `${line(points.map(([x, y]) => [x, y ?? height]))}L${width} ${height}L0 ${height}Z` }),
    h("path", { class: "line", d: line(points) }));
}

/** Series over time, stacked areas or lines, with a reading where the pointer or the arrow keys are.
 *
 * `series`: [{name, tone, values}], one value (or null) a moment of `times`. `state` keeps the reading: {at}.
 */
export function timeChart({ label, times, series, width, height = 200, stacked = false, format, formatTime, state, redraw, most }) {
  const inner = { width: Math.max(width - PAD.left - PAD.right, 50), height: height - PAD.top - PAD.bottom };
  const sums = times.map((_, place) => series.map((each) => each.values[place] ?? 0));
  const highest = most ?? roundUp(Math.max(...(stacked
    ? sums.map((values) => values.reduce((sum, value) => sum + value, 0))
    : series.flatMap((each) => each.values.map((value) => value ?? 0))), 0));
  const first = times[0] ?? 0;
  const span = Math.max((times.at(-1) ?? 1) - first, 1e-9);
  const x = (place) => PAD.left + ((times[place] - first) / span) * inner.width;
  const y = (value) => PAD.top + inner.height - (Math.min(value, highest) / highest) * inner.height;

  const shapes = [];
  if (stacked) {
    const base = times.map(() => 0);
    for (const each of series) {
      const low = times.map((_, place) => [x(place), y(base[place])]);
      times.forEach((_, place) => { base[place] += each.values[place] ?? 0; });
      const high = times.map((_, place) => [x(place), y(base[place])]);
      // What adds nothing has no line, or it would colour the edge of what is below it.
      const edge = high.map(([left, top], place) => [left, each.values[place] ? top : null]);
      shapes.push(times.length > 1 && h("path", { class: `area ${each.tone}`, d: `${line(high)}${line(low.reverse()).replace("M", "L")}Z` }),
        h("path", { class: `line ${each.tone}`, d: line(edge) }));
    }
  } else {
    for (const each of series) {
      shapes.push(h("path", { class: `line ${each.tone}`, d: line(times.map((_, place) => [x(place), each.values[place] === null ? null : y(each.values[place])])) }));
    }
  }
  const grid = [0, 0.5, 1].map((part) => [
    h("line", { class: "grid", x1: PAD.left, x2: width - PAD.right, y1: y(part * highest), y2: y(part * highest) }),
    h("text", { x: PAD.left - 8, y: y(part * highest) + 4, "text-anchor": "end" }, format(part * highest)),
  ]);
  const ticks = times.length > 1 ? [0, 0.5, 1].map((part) => {
    const anchor = part === 0 ? "start" : part === 1 ? "end" : "middle";
    return h("text", { x: PAD.left + part * inner.width, y: height - 6, "text-anchor": anchor }, formatTime(first + part * span));
  }) : [];

  const reading = state.at === null || state.at === undefined || !times.length ? null
    : times.reduce((best, time, place) => (Math.abs(time - state.at) < Math.abs(times[best] - state.at) ? place : best), 0);
  const read = (at) => { state.at = at; redraw(); };
  const move = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    read(first + ((event.clientX - box.left - PAD.left) / inner.width) * span);
  };
  const keys = (event) => {
    const place = reading ?? times.length - 1;
    const to = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: times.length - 1 }[event.key];
    if (event.key === "Escape") read(null);
    else if (to !== undefined && times.length) {
      event.preventDefault();
      read(times[Math.min(Math.max(to, 0), times.length - 1)]);
    }
  };
  return h("figure", { class: "chart" },
    h("figcaption", null,
      h("span", { class: "title" }, label),
      h("span", { class: "legend" }, series.map((each) => h("span", { class: each.tone }, h("i", { "aria-hidden": "true" }), each.name,
        reading !== null && h("b", null, format(each.values[reading])))),
      h("span", { class: "reading", role: "status" }, reading === null ? "" : formatTime(times[reading])))),
    h("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${label}. Arrow keys read values.`,
      tabindex: "0", onpointermove: move, onpointerleave: () => read(null), onkeydown: keys, onblur: () => read(null) },
      grid, ticks, shapes,
      reading !== null && h("line", { class: "cross", x1: x(reading), x2: x(reading), y1: PAD.top, y2: PAD.top + inner.height })));
}

/** The histogram of a table's row: bars only. */
export function barlets(counts, { tone, width = 112, height = 24 }) {
  const most = Math.max(...counts, 1);
  const step = width / counts.length;
  const d = counts.map((count, place) => (count
    ? `M${(place * step).toFixed(1)} ${height}v${-Math.max(1.5, (count / most) * (height - 2)).toFixed(1)}h${(step - 0.6).toFixed(1)}V${height}Z` : "")).join("");
  return h("svg", { class: `barlets ${tone}`, width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
    h("path", { class: "rule", d: `M0 ${height - 0.5}H${width}` }), h("path", { class: "bars", d }));
}

/** Histograms of the same bounds over each other, each scaled to its own number of requests. */
export function histogram({ label, bounds, series, width, height = 170, format }) {
  const inner = { width: Math.max(width - 20, 80), height: height - 34 };
  const used = bounds.map((_, place) => series.some((each) => each.counts[place]));
  const low = Math.max(0, used.indexOf(true) - 1);
  const high = Math.min(bounds.length - 1, Math.max(used.lastIndexOf(true) + 1, low + 3));
  const places = Array.from({ length: high - low + 1 }, (_, place) => low + place);
  const shares = series.map((each) => {
    const total = each.counts.reduce((sum, count) => sum + count, 0) || 1;
    return places.map((place) => each.counts[place] / total);
  });
  const most = Math.max(...shares.flat(), 1e-9);
  const step = inner.width / places.length;
  const every = Math.ceil(places.length / Math.max(2, Math.floor(inner.width / 70)));
  return h("svg", { class: "histogram", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    series.map((each, order) => places.map((place, index) => {
      const bar = (shares[order][index] / most) * (inner.height - 8);
      const part = step / series.length;
      return bar > 0 && h("rect", { class: each.tone, x: 10 + index * step + order * part, y: inner.height - bar, width: Math.max(1, part - 1), height: bar },
        h("title", null, `${each.name}: ${(shares[order][index] * 100).toFixed(1)} % up to ${format(bounds[place])}`));
    })),
    h("line", { class: "grid", x1: 10, x2: 10 + inner.width, y1: inner.height, y2: inner.height }),
    places.map((place, index) => index % every === 0
      && h("text", { x: 10 + (index + 1) * step, y: height - 14, "text-anchor": "middle" }, format(bounds[place]))));
}
