/** The last ten minutes: begun with what the gateway remembers, carried on by what it adds. */

const MOST_POINTS = 300;
const MINUTE = 60;

const kept = { points: [], routes: [], monolith: [], troubles: [], windowSeconds: 0 };

/** Add the points of an answer, and return everything with the sums of the last minute. */
export function takeOverview(answer) {
  if (answer) {
    const last = kept.points.at(-1)?.at ?? 0;
    kept.points = [...kept.points, ...answer.points.filter((point) => point.at > last)].slice(-MOST_POINTS);
    kept.routes = answer.routes;
    kept.monolith = answer.monolith;
    kept.troubles = answer.troubles;
    kept.windowSeconds = answer.window_seconds;
  }
  return { ...kept, ...sums(kept) };
}

function sums({ points, routes, monolith }) {
  const end = points.at(-1)?.at ?? 0;
  const minute = points.filter((point) => point.at > end - MINUTE);
  const newest = points.filter((point) => point.at > end - 10);
  const total = (list, name) => list.reduce((sum, point) => sum + point[name], 0);
  const weighted = (name) => {
    const known = minute.filter((point) => point[name] !== null && point.requests);
    const requests = total(known, "requests");
    return requests ? known.reduce((sum, point) => sum + point[name] * point.requests, 0) / requests : null;
  };
  const requests = total(minute, "requests");
  const forwarded = routes.filter((route) => route.target_group);
  const all = forwarded.reduce((sum, route) => sum + route.requests, 0);
  const moved = forwarded.filter((route) => !monolith.includes(route.target_group)).reduce((sum, route) => sum + route.requests, 0);
  return {
    rate: newest.length ? total(newest, "requests") / total(newest, "seconds") : null,
    errorRate: requests ? total(minute, "errors") / requests : null,
    p95: weighted("p95"),
    overhead: weighted("overhead_mean"),
    overheadP99: weighted("overhead_p99"),
    inFlight: points.at(-1)?.in_flight ?? null,
    moved: all ? moved / all : null,
    forwarded: all,
  };
}

/** The points in groups of `size`, so that a chart shows a course and not the noise of two seconds. A group is known by
 * its time, so that it does not change as newer ones come. */
export function merged(points, size = 3) {
  const groups = Map.groupBy(points, (point) => Math.floor(point.at / (size * 2)));
  const mean = (list, name) => {
    const known = list.filter((point) => point[name] !== null);
    const requests = known.reduce((sum, point) => sum + point.requests, 0);
    return requests ? known.reduce((sum, point) => sum + point[name] * point.requests, 0) / requests : null;
  };
  return [...groups.values()].map((list) => {
    const sum = (name) => list.reduce((total, point) => total + point[name], 0);
    return {
      at: list.at(-1).at, seconds: sum("seconds"), requests: sum("requests"), errors: sum("errors"), client_errors: sum("client_errors"),
      p50: mean(list, "p50"), p95: mean(list, "p95"), p99: mean(list, "p99"), overhead_mean: mean(list, "overhead_mean"),
    };
  });
}

/** Rate, errors and latency of a rule's route to a target group over the last minute; null without requests. */
export function routeOf(recent, listener, rule, group) {
  return recent.routes.find((each) => each.listener === listener && each.rule === rule && each.target_group === group) || null;
}
