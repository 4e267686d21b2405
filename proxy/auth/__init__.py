"""Who asks: `authenticate-oidc`, `authenticate-cognito` and `jwt-validation` (alb.md 3.4, 3.5).

tokens, session, state, claims    pure: what is read, checked, sealed and signed
provider, jwks                    what is fetched from identity providers
login, validation                 what a rule does with a request
authentication                    all of it, as the gateway sees it
"""
