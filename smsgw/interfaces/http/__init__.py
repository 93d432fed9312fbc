"""The HTTP API. Start at :func:`smsgw.interfaces.http.app.make_app`, and ``site.make_site``."""
