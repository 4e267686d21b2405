"""alb.md 5, and 3.1 as far as it takes several requests: which target answers."""

# ruff: noqa: E501 - one row a line, and YAML is full of braces

from tests.conformance.rows import RAW, Row, Story

CHECKED = "health_check: {interval_seconds: 10}"


def _group(letters: str, attributes: str = "", more: str = "") -> str:
    attributes = f", attributes: {{{attributes}}}" if attributes else ""
    return f"{{targets: {{targets: [{', '.join(letters)}]{attributes}{', ' + more if more else ''}}}}}"


def _two(first: str = "A", second: str = "B", attributes: str = "", more: str = "") -> str:
    rest = (f", attributes: {{{attributes}}}" if attributes else "") + (f", {more}" if more else "")
    return f"{{targets: {{targets: [{first}]{rest}}}, other: {{targets: [{second}]{rest}}}}}"


STICKY = "stickiness.enabled: true, stickiness.lb_cookie.duration_seconds: 60"
APP = "stickiness.enabled: true, stickiness.type: app_cookie, stickiness.app_cookie.cookie_name: sid, stickiness.app_cookie.duration_seconds: 60"
RANDOM = "load_balancing.algorithm.type: weighted_random"
SLOW = "slow_start.duration_seconds: 100"
DELAY = "deregistration_delay.timeout_seconds: 60"
ANOMALY = f"{RANDOM}, load_balancing.algorithm.anomaly_mitigation: 'on'"
MINIMUM = "target_group_health.unhealthy_state_routing.minimum_healthy_targets"
QUARTERS = (0.1, 0.35, 0.6, 0.85)
BOTH_GROUPS = "{targets: 1, other: 1}"
TG_60 = "{duration_seconds: 60}"

ROWS: list[Row] = [
    Story("a share is weight / sum of weights", "3.1", ("GET / -> A B B B A B B B",), _two(), "{targets: 1, other: 3}", chance=QUARTERS),
    Story("a group at 0 gets no new traffic", "3.1", ("GET / -> B B B B",), _two(), "{targets: 0, other: 1}", chance=QUARTERS),
    Story("all weights 0: nobody can be chosen", "3.1", ("GET / -> 503",), _two(), "{targets: 0, other: 0}"),
    Story("no failover: a chosen group without targets answers 503", "3.1", ("GET / -> 503 B 503 B",), _two(first=""), BOTH_GROUPS, chance=(0.1, 0.6)),
    Story("a chosen group with unhealthy targets fails open", "3.1", ("B passes 1", "A fails 2", "A is unhealthy", "GET / -> A B"), _two(more=CHECKED), BOTH_GROUPS, chance=(0.1, 0.6)),
    Story("a client stays in its group whatever the weights", "3.1", ("ann GET / -> A, sets AWSALBTG AWSALBTGCORS", "weights 0 1", "ann GET / -> A A", "GET / -> B"), _two(), "{targets: 1, other: 0}", TG_60),
    Story("a group cookie counts for its duration", "3.1", ("ann GET / -> A", "weights 0 1", "59 s pass", "ann GET / -> A", "3 s pass", "ann GET / -> B, sets AWSALBTG AWSALBTGCORS"), _two(), "{targets: 1, other: 0}", TG_60),
    Story("a group cookie without group stickiness does not count", "3.1", ("ann GET / -> A", "weights 0 1", "stickiness is switched off", "ann GET / -> B"), _two(), "{targets: 1, other: 0}", TG_60),
    Story("the twin of the group cookie is enough", "3.1", ("ann GET / -> A", "ann forgets AWSALBTG", "weights 0 1", "ann GET / -> A"), _two(), "{targets: 1, other: 0}", TG_60),
    Story("a group cookie is opaque: a changed one does not count", "3.1", ("ann GET / -> A", "ann forgets AWSALBTGCORS", "ann spoils AWSALBTG", "weights 0 1", "ann GET / -> B, sets AWSALBTG AWSALBTGCORS", "logs error_reason AWSALBTGCookieInvalid"), _two(), "{targets: 1, other: 0}", TG_60),
    Story("a URL-encoded group cookie does not count", "3.1", ("ann GET / -> A", "ann forgets AWSALBTGCORS", "ann encodes AWSALBTG", "weights 0 1", "ann GET / -> B", "logs error_reason AWSALBTGCookieInvalid"), _two(), "{targets: 1, other: 0}", TG_60),
    Story("group and target stickiness together", "3.1", ("ann GET / -> A, sets AWSALBTG AWSALBTGCORS AWSALB AWSALBCORS", "weights 0 1", "ann GET / -> A, sets AWSALB AWSALBCORS"), _two(attributes=STICKY), "{targets: 1, other: 0}", TG_60),
    Story("requests in flight finish under the old table", "1.3", ("hold A", "weights 0 1", "GET / -> B", "held -> A"), _two(), "{targets: 1, other: 0}"),
    Story("after an upgrade rules are not consulted again", "1.3", ("socket -> A", "weights 0 1", "GET / -> B", "socket -> A"), _two(), "{targets: 1, other: 0}", doors=RAW),
    Story("round_robin is the default", "5.2", ("GET / -> A B C A B C",), _group("ABC")),
    Story("least_outstanding_requests takes the one with the fewest", "5.2", ("hold A", "GET / -> B B", "hold B", "hold A", "GET / -> B"), _group("AB", "load_balancing.algorithm.type: least_outstanding_requests")),
    Story("weighted_random is chance", "5.2", ("GET / -> A A B B",), _group("AB", RANDOM), chance=QUARTERS),
    Story("each group takes turns for itself", "5.2", ("GET / -> A B B A",), "{targets: {targets: [A, B]}, other: {targets: [B, A]}}", BOTH_GROUPS, chance=(0.1, 0.1, 0.6, 0.6)),
    Story("a target that fails more than its peers is anomalous", "5.2", ("ABC are healthy", "A answers 500", "5 s pass", "60 times GET /", "5 s pass", "A is anomalous", "B is normal", "C is normal"), _group("ABC", RANDOM), chance=(0.1, 0.4, 0.7)),
    Story("no anomaly with fewer than 3 healthy targets", "5.2", ("AB are healthy", "A answers 500", "5 s pass", "60 times GET /", "5 s pass", "A is normal"), _group("AB", RANDOM), chance=(0.1, 0.6)),
    Story("4xx are no anomaly", "5.2", ("ABC are healthy", "A answers 404", "5 s pass", "60 times GET /", "5 s pass", "A is normal"), _group("ABC", RANDOM), chance=(0.1, 0.4, 0.7)),
    Story("mitigation lowers the share of an anomalous target and ramps it back", "5.2", ("ABC are healthy", "A answers 500", "5 s pass", "60 times GET /", "5 s pass", "A is anomalous", "20 times -> A 4 B 8 C 8", "A answers 200", "60 times GET /", "5 s pass", "60 times GET /", "5 s pass", "60 times GET /", "5 s pass", "60 times GET /", "5 s pass", "A is normal"), _group("ABC", ANOMALY), chance=tuple((number + 0.5) / 20 for number in range(20))),
    Story("without mitigation an anomalous target keeps its share", "5.2", ("ABC are healthy", "A answers 500", "5 s pass", "60 times GET /", "5 s pass", "A is anomalous", "A answers 200", "6 times -> A 2 B 2 C 2"), _group("ABC", RANDOM), chance=(0.1, 0.4, 0.7)),
    Story("stickiness overrides the algorithm after the first choice", "5.2", ("ann GET / -> A A A", "bob GET / -> B B"), _group("AB", STICKY)),
    Story("a target that joins ramps up in a line", "5.3", ("A passes 1", "B joins", "B passes 1", "B is in slow start", "50 s pass", "30 times -> A 20 B 10", "51 s pass", "B is at full share", "30 times -> A 15 B 15"), _group("A", SLOW, CHECKED)),
    Story("targets registered into an empty group do not enter", "5.3", ("A passes 1", "B passes 1", "A is at full share", "B is at full share"), _group("AB", SLOW, CHECKED)),
    Story("targets that are healthy already do not enter", "5.3", ("A passes 1", "B passes 1", "slow start becomes 100", "A is at full share", "B is at full share"), _group("AB", "", CHECKED)),
    Story("one healthy target outside of it is needed", "5.3", ("B joins", "A passes 1", "A fails 2", "B passes 1", "B is at full share"), _group("A", SLOW, CHECKED)),
    Story("an unhealthy target leaves slow start and enters it again when it recovers", "5.3", ("A passes 1", "B joins", "B passes 1", "B is in slow start", "B fails 2", "B is at full share", "B passes 5", "B is in slow start"), _group("A", SLOW, CHECKED)),
    Story("a deregistered target leaves slow start", "5.3", ("A passes 1", "B joins", "B passes 1", "B is in slow start", "B leaves", "B is at full share"), _group("A", SLOW, CHECKED)),
    Story("a deregistered target gets no new request", "5.4", ("GET / -> A B", "B leaves", "B is draining Target.DeregistrationInProgress", "GET / -> A A A"), _group("AB", DELAY)),
    Story("it is draining until the delay is over, though nothing is in flight", "5.4", ("B leaves", "59 s pass", "B is draining", "2 s pass", "B is gone"), _group("AB", DELAY)),
    Story("the delay is 300 s by default", "5.4", ("B leaves", "299 s pass", "B is draining", "2 s pass", "B is gone"), _group("AB")),
    Story("a request in flight may finish within the delay", "5.4", ("hold A", "A leaves", "GET / -> B", "59 s pass", "held -> A"), _group("AB", DELAY)),
    Story("a request that outlives the delay gets 502", "5.4", ("hold A", "A leaves", "61 s pass", "held -> 502"), _group("AB", DELAY)),
    Story("a target that comes back is registered anew", "5.4", ("A passes 1", "B passes 1", "B leaves", "B is draining", "B joins", "B is initial", "B passes 1", "B is healthy"), _group("AB", DELAY, CHECKED)),
    Story("a target that takes no more connections drains all the same", "5.4", ("B leaves", "B goes away", "B is draining", "GET / -> A A"), _group("AB", DELAY)),
    Story("lb_cookie: a client keeps its target", "5.5", ("ann GET / -> A, sets AWSALB AWSALBCORS", "ann GET / -> A A", "bob GET / -> B", "ann GET / -> A"), _group("AB", STICKY)),
    Story("lb_cookie: 86400 s by default", "5.5", ("ann GET / -> A", "86390 s pass", "ann GET / -> A", "86410 s pass", "ann GET / -> B"), _group("AB", "stickiness.enabled: true")),
    Story("lb_cookie: the duration starts anew with every response", "5.5", ("ann GET / -> A", "50 s pass", "ann GET / -> A, sets AWSALB AWSALBCORS", "50 s pass", "ann GET / -> A"), _group("AB", STICKY)),
    Story("lb_cookie: after the duration another target", "5.5", ("ann GET / -> A", "61 s pass", "ann GET / -> B, sets AWSALB AWSALBCORS", "ann GET / -> B"), _group("AB", STICKY)),
    Story("lb_cookie: an undecodable cookie is replaced", "5.5", ("ann GET / -> A", "ann forgets AWSALBCORS", "ann spoils AWSALB", "ann GET / -> B, sets AWSALB AWSALBCORS", "ann GET / -> B"), _group("AB", STICKY)),
    Story("lb_cookie: a URL-encoded one is undecodable", "5.5", ("ann GET / -> A", "ann forgets AWSALBCORS", "ann encodes AWSALB", "ann GET / -> B, sets AWSALB AWSALBCORS"), _group("AB", STICKY)),
    Story("lb_cookie: the twin alone is enough", "5.5", ("ann GET / -> A", "ann forgets AWSALB", "ann GET / -> A"), _group("AB", STICKY)),
    Story("lb_cookie: a deregistered target is replaced", "5.5", ("ann GET / -> A", "A leaves", "ann GET / -> B, sets AWSALB AWSALBCORS"), _group("AB", STICKY)),
    Story("lb_cookie: an unhealthy target is replaced for good", "5.5", ("A passes 1", "B passes 1", "ann GET / -> A", "A fails 2", "ann GET / -> B", "A passes 5", "ann GET / -> B B"), _group("AB", STICKY, CHECKED)),
    Story("lb_cookie: a target that refuses connections is replaced", "5.5", ("ann GET / -> A", "A goes away", "ann GET / -> B B"), _group("AB", STICKY)),
    Story("app_cookie: a session begins when the target sets its cookie", "5.5", ("ann GET / -> A B, sets nothing", "ann GET /login -> A, sets sid AWSALBAPP-0", "ann GET / -> A A A"), _group("AB", APP)),
    Story("app_cookie: the application's cookie alone does not count", "5.5", ("ann GET /login -> A", "ann forgets AWSALBAPP-0", "ann GET / -> B A"), _group("AB", APP)),
    Story("app_cookie: the load balancer's alone does not count", "5.5", ("ann GET /login -> A", "ann forgets sid", "ann GET / -> B, sets AWSALBAPP-0", "ann GET / -> A"), _group("AB", APP)),
    Story("app_cookie: after the duration another target", "5.5", ("ann GET /login -> A", "61 s pass", "ann GET / -> B"), _group("AB", APP)),
    Story("app_cookie: if the target fails the session moves for good", "5.5", ("A passes 1", "B passes 1", "ann GET /login -> A", "A fails 2", "ann GET / -> B", "A passes 5", "ann GET / -> B B"), _group("AB", APP, CHECKED)),
    Story("app_cookie: two shards", "5.5", ("ann GET /login3000 -> A, sets sid AWSALBAPP-0 AWSALBAPP-1", "ann GET / -> A A"), _group("AB", APP)),
    Story("app_cookie: four shards at most", "5.5", ("ann GET /login11900 -> A, sets sid AWSALBAPP-0 AWSALBAPP-1 AWSALBAPP-2 AWSALBAPP-3", "ann GET / -> A A"), _group("AB", APP)),
    Story("app_cookie: no session over 16 K", "5.5", ("ann GET /login12100 -> A, sets sid", "ann GET / -> B"), _group("AB", APP)),
    Story("a WebSocket is sticky by nature", "5.5", ("socket -> A", "GET / -> B A B", "socket -> A", "socket -> A"), _group("AB"), doors=RAW),
    Story("a WebSocket stays with a target that becomes unhealthy", "5.5", ("A passes 1", "B passes 1", "socket -> A", "A fails 2", "GET / -> B B", "socket -> A"), _group("AB", "", CHECKED), doors=RAW),
    Story("a new target is initial and gets no request", "5.7", ("A passes 1", "B is initial Elb.RegistrationInProgress", "GET / -> A A"), _group("AB", "", CHECKED)),
    Story("an unhealthy target gets no request until it recovers", "5.7", ("A passes 1", "B passes 1", "B fails 2", "GET / -> A A", "B passes 4", "GET / -> A A", "B passes 1", "GET / -> B A"), _group("AB", "", CHECKED)),
    Story("a target of a group that no rule uses", "5.7", ("B is unused Target.NotInUse",), _two(more=CHECKED)),
    Story("health checks that are switched off", "5.7", ("A is unavailable Target.HealthCheckDisabled", "GET / -> A"), _group("A")),
    Story("all unhealthy: fail open, by the normal algorithm", "5.8", ("A fails 2", "B fails 2", "GET / -> A B A", "counts strangler_unhealthy_routing_requests_total 3"), _group("AB", "", CHECKED)),
    Story("one healthy is enough by default", "5.8", ("A passes 1", "B fails 2", "GET / -> A A", "counts strangler_unhealthy_routing_requests_total 0"), _group("AB", "", CHECKED)),
    Story("below the minimum count: all targets", "5.8", ("A passes 1", "B fails 2", "C passes 1", "GET / -> A C A", "C fails 2", "GET / -> B C A"), _group("ABC", f"{MINIMUM}.count: 2", CHECKED)),
    Story("below the minimum percentage: all targets", "5.8", ("A passes 1", "B passes 1", "C fails 2", "GET / -> A B A", "B fails 2", "GET / -> B C A"), _group("ABC", f"{MINIMUM}.percentage: 60", CHECKED)),
    Story("a draining target is not opened to", "5.8", ("A fails 2", "B fails 2", "B leaves", "GET / -> A A"), _group("AB", "", CHECKED)),
    Story("no target left: 503", "5.8", ("A leaves", "GET / -> 503"), _group("A")),
]  # fmt: skip
