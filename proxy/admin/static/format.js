/** Numbers as people read them: three digits are enough. */

const digits = (value) => (value >= 100 || value === 0 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds === 0) return "0 ms";
  if (seconds < 0.001) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${digits(seconds * 1000)} ms`;
  if (seconds < 120) return `${digits(seconds)} s`;
  return seconds < 7200 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(0)} h`;
}

/** The lower end of the duration histogram: below it nobody knows where in its first bucket a percentile is. */
const FIRST_BUCKET = 0.005;

export function percentile(seconds) {
  return seconds > 0 && seconds < FIRST_BUCKET ? "< 5 ms" : duration(seconds);
}

export function count(value) {
  if (value === null || value === undefined) return "–";
  if (Math.abs(value) < 10_000) return Math.round(value).toLocaleString("en");
  return value < 1e6 ? `${digits(value / 1000)} k` : value < 1e9 ? `${digits(value / 1e6)} M` : `${digits(value / 1e9)} G`;
}

export function rate(value) {
  if (value === null || value === undefined) return "–";
  return value >= 1000 ? `${count(value)}/s` : `${digits(value)}/s`;
}

export function share(value, places = 1) {
  if (value === null || value === undefined) return "–";
  if (value > 0 && value < 0.5 / 10 ** (places + 2)) return `<${(1 / 10 ** places).toFixed(places)} %`;
  return `${(value * 100).toFixed(value === 0 || value === 1 ? 0 : places)} %`;
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1000) return `${value.toFixed(0)} B`;
  const power = Math.min(4, Math.floor(Math.log10(value) / 3));
  return `${digits(value / 1000 ** power)} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

export function ago(epoch, now = Date.now() / 1000) {
  if (!epoch) return "never";
  const seconds = Math.max(0, now - epoch);
  if (seconds < 3) return "now";
  if (seconds < 90) return `${seconds.toFixed(0)} s ago`;
  if (seconds < 5400) return `${(seconds / 60).toFixed(0)} min ago`;
  return seconds < 172_800 ? `${(seconds / 3600).toFixed(0)} h ago` : `${(seconds / 86_400).toFixed(0)} days ago`;
}

/** How long something has been as it is. */
export function since(epoch, now) {
  const before = ago(epoch, now);
  return before === "never" ? "" : before === "now" ? "just now" : `for ${before.replace(/ ago$/, "")}`;
}

export function clock(epoch) {
  return new Date(epoch * 1000).toLocaleTimeString([], { hour12: false });
}

export function day(epoch) {
  return new Date(epoch * 1000).toLocaleDateString([], { month: "short", day: "numeric" });
}

/** "1 rule", "2 rules". */
export function plural(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}
