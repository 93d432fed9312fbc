"""What the gateway tells Prometheus. Start at :mod:`smsgw.interfaces.metrics.registry`."""
