"""What the gateway tells Prometheus. Start at :class:`smsgw.interfaces.metrics.registry.Metrics`."""
