"""Wiring: the configuration file, the assembly of a whole gateway, and the process around it."""
