"""Twisted meets sessions: one protocol class for every carrier and both roles.

Start at :class:`smsgw.transport.link.Link`, one carrier account with all its connections.
"""
