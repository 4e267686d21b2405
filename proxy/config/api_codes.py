"""What the ELBv2 API would answer to a table that we refuse: its error codes beside ours (alb.md 12).

None where the API never sees the fault (YAML, environment, names of this file) or would accept the table (warnings).
The sources name few pairs of a fault and a code; of the others the code is that of its kind: `ValidationError` for
shape, length, characters and quotas of values, `InvalidLoadBalancerAction` for what stands inside an action.
"""

from __future__ import annotations

import re

from proxy.config.problem import Problem

VALIDATION = "ValidationError"
ACTION = "InvalidLoadBalancerAction"

API_CODES: dict[str, str | None] = {
    # The file
    "empty-file": None,
    "encoding": None,
    "environment": None,
    "literal-secret": None,
    "merge-key": None,
    "too-large": None,
    "unknown-version": None,
    "unreadable": None,
    "yaml-syntax": None,
    "yaml-tag": None,
    # Shapes
    "conflicting-keys": VALIDATION,
    "duplicate-key": VALIDATION,
    "empty-list": VALIDATION,
    "empty-mapping": VALIDATION,
    "empty-value": VALIDATION,
    "exactly-one-key": VALIDATION,
    "invalid-character": VALIDATION,
    "invalid-value": VALIDATION,
    "missing-key": VALIDATION,
    "out-of-range": VALIDATION,
    "too-long": VALIDATION,
    "too-many-keys": VALIDATION,
    "unknown-key": VALIDATION,
    "unknown-value": VALIDATION,
    "wrong-type": VALIDATION,
    # Listeners and rules
    "duplicate-name": None,
    "port-in-use": "DuplicateListener",
    "priority-in-use": "PriorityInUse",
    "reserved-name": None,
    "too-many-listeners": "TooManyListeners",
    "too-many-rules": "TooManyRules",
    # Certificates; whether they are good is for those to say who keep them
    "bad-certificate": None,
    "bad-private-key": None,
    "certificate-not-valid": None,
    "encrypted-key": None,
    "key-mismatch": None,
    "tls-unavailable": None,
    "too-many-certificates": "TooManyCertificates",
    # Names of requests, which the load balancer does not give
    "bad-openapi": None,
    "bad-transaction": None,
    # Conditions
    "duplicate-condition": VALIDATION,
    "invalid-cidr": VALIDATION,
    "invalid-regex": VALIDATION,
    "too-many-condition-values": VALIDATION,
    "too-many-wildcards": VALIDATION,
    "unsupported-regex": VALIDATION,
    # Actions
    "app-cookie-with-weights": "InvalidConfigurationRequest",
    "authentication-without-https": "UnsupportedProtocol",
    "client-secret-missing": None,
    "duplicate-transform": VALIDATION,
    "group-stickiness-required": "InvalidConfigurationRequest",
    "https-to-http": ACTION,
    "incompatible-protocols": "IncompatibleProtocols",
    "invalid-placeholder": ACTION,
    "missing-action": VALIDATION,
    "plain-http": ACTION,
    "redirect-loop": ACTION,
    "scope-without-openid": None,
    "several-actions": "TooManyActions",
    "shared-session-cookie": None,
    "too-many-claims": ACTION,
    "too-many-target-groups-in-action": "TooManyTargetGroups",
    "unknown-target-group": "TargetGroupNotFound",
    # Target groups
    "duplicate-target": None,
    "invalid-target": VALIDATION,
    "not-for-target-type": "InvalidConfigurationRequest",
    "timeout-not-below-interval": VALIDATION,
    "too-many-target-groups": "TooManyUniqueTargetGroupsPerLoadBalancer",
    "too-many-targets": "TooManyTargets",
    # What the load balancer accepts
    "all-weights-zero": None,
    "host-bits": None,
    "mixed-protocols": None,
    "no-targets": None,
    "not-supported-yet": None,
    "refused-by-load-balancer": "InvalidConfigurationRequest",
    "unused-target-group": None,
    "without-effect": None,
    # What stops a good table from being put in force
    "invalid-condition-value": VALIDATION,
    "port-unavailable": None,
    "worker-failed": None,
    # What `proxy.rules.coverage` finds; the load balancer does not look for it
    "analysis-incomplete": None,
    "contradicting-conditions": None,
    "covered-value": None,
    "default-unreachable": None,
    "duplicate-conditions": None,
    "impossible-value": None,
    "never-wins": None,
}
"""Our code to the API's."""

_ACTION_CONTENT = re.compile(
    r"\.(forward|redirect|fixed-response|authenticate-oidc|authenticate-cognito|jwt-validation)\b"
)
_OURS = re.compile(r"(^|\.)(migration|local)\b|\.name$")


def api_code(problem: Problem) -> str | None:
    """Return the code that the API would answer with, or None if it has none for this."""
    code = API_CODES.get(problem.code)
    if code != VALIDATION:
        return code
    if _OURS.search(problem.place.path):
        return None
    return ACTION if _ACTION_CONTENT.search(problem.place.path) else code
