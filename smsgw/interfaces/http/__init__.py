"""The HTTP API. Start at :func:`smsgw.interfaces.http.app.make_app` and ``make_site``."""
