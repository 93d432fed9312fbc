"""Who may use the HTTP API, and for what. Start at :class:`smsgw.services.access.access.Access`."""
