"""The users of the shop as a service of its own: same API, own data, mail sent after the answer."""
