"""The outside: the HTTP API, the command line, the metrics."""
