"""The ``smsgw`` command. Start at :mod:`smsgw.interfaces.cli.main`."""
