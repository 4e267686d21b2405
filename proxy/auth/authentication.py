"""Authentication as the gateway sees it: one object, which asks the action of a rule and counts what becomes of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from functools import partial

from proxy.auth.claims import ClaimsSigner
from proxy.auth.jwks import KeySets
from proxy.auth.login import Login, is_callback
from proxy.auth.outcome import UNTOUCHED, Later, Outcome, Passed
from proxy.auth.provider import Fetcher
from proxy.auth.validation import Validation
from proxy.config.model import AuthenticationConfig, Config, JwtValidationConfig, LoginConfig
from proxy.errors import AuthenticationError, GatewayError, LoginError
from proxy.http1.sealed import Sealer
from proxy.observe.metrics import Metrics
from proxy.rules.actions import Reply
from proxy.rules.compiled import Authenticate
from proxy.rules.request import RequestView

logger = logging.getLogger(__name__)


class Authentication:
    """All authentication actions of a gateway; they outlive the table that names them.

    Args:
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        sealer: Sealer,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.time,
        fetcher: Fetcher | None = None,
    ) -> None:
        self._sealer = sealer
        self._metrics = metrics
        self._clock = clock
        self._fetcher = fetcher or Fetcher()
        self._key_sets = KeySets(self._fetcher, time.monotonic)
        self._signer: ClaimsSigner | None = None
        self._logins: dict[LoginConfig, Login] = {}
        self._validations: dict[JwtValidationConfig, Validation] = {}

    def begin(self, authenticate: Authenticate, view: RequestView) -> Outcome | Later:
        """What the rule makes of this request, now or after a question to an identity provider.

        A callback ends the login that its sealed state names, whichever rule of the listener takes the request, so a
        rule for `/admin/*` can have a login of its own. A callback of nobody's is an ordinary request to a rule
        without login.

        Raises:
            GatewayError: The request ends here.
        """
        config = authenticate.config
        try:
            if authenticate.logins and is_callback(view):
                outcome = self._callback(authenticate, view)
            elif config is None:
                return UNTOUCHED
            elif isinstance(config, LoginConfig):
                outcome = self._login(config).begin(view)
            else:
                outcome = self._validation(config).begin(view)
        except AuthenticationError as error:
            self._count(config, error)
            raise
        return outcome if isinstance(outcome, Passed | Reply) else partial(self._counted, config, outcome)

    def public_key(self, kid: str) -> bytes | None:
        """The PEM of the key that signs `x-amzn-oidc-data`, if this is its id."""
        signer = self._claims_signer()
        return signer.public_key if kid == signer.kid else None

    def serving(self, config: Config) -> None:
        """Take note of the table that now serves: what only others needed is forgotten."""
        used = set(actions_of(config))
        self._logins = {action: login for action, login in self._logins.items() if action in used}
        self._validations = {action: each for action, each in self._validations.items() if action in used}
        self._key_sets.retain({action.jwks_endpoint for action in used if isinstance(action, JwtValidationConfig)})

    def _callback(self, authenticate: Authenticate, view: RequestView) -> Outcome | Later:
        for config in authenticate.logins:
            login = self._login(config)
            state = login.state_in(view)
            if state is not None:
                return login.complete(view, state)
        own = authenticate.config
        if isinstance(own, LoginConfig):
            return self._login(own).complete(view, None)
        return UNTOUCHED if own is None else self._validation(own).begin(view)

    async def _counted(self, config: AuthenticationConfig | None, later: Later) -> Outcome:
        try:
            return await later()
        except AuthenticationError as error:
            self._count(config, error)
            raise
        except GatewayError:
            raise
        except Exception:
            logger.exception("authentication failed in an unforeseen way")
            unforeseen = LoginError("AuthUnhandledException", "see the log")
            self._count(config, unforeseen)
            raise unforeseen from None

    def _count(self, config: AuthenticationConfig | None, error: AuthenticationError) -> None:
        self._metrics.authentication(config.type if config else "authenticate-oidc").failed(error)

    def _login(self, config: LoginConfig) -> Login:
        login = self._logins.get(config)
        if login is None:
            series = self._metrics.authentication(config.type)
            login = Login(config, self._sealer, self._claims_signer(), self._fetcher, series, self._clock)
            self._logins[config] = login
        return login

    def _validation(self, config: JwtValidationConfig) -> Validation:
        validation = self._validations.get(config)
        if validation is None:
            validation = self._validations[config] = Validation(config, self._key_sets, self._clock)
        return validation

    def _claims_signer(self) -> ClaimsSigner:
        if self._signer is None:
            self._signer = ClaimsSigner(self._sealer)
        return self._signer


def actions_of(config: Config) -> Iterable[AuthenticationConfig]:
    """Every authentication action of a table."""
    for listener in config.listeners:
        for action in (listener.default_authentication, *(rule.authentication for rule in listener.rules)):
            if action is not None:
                yield action


def has_logins(config: Config) -> bool:
    """Whether users log in anywhere in this table."""
    return any(isinstance(action, LoginConfig) for action in actions_of(config))
