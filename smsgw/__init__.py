"""smsgw: an SMS gateway for CMPP, SMGP and SGIP on Twisted.

Start at :mod:`smsgw.protocols.cmpp` for a codec, :class:`smsgw.transport.link.Link` for one carrier
account, or the ``smsgw`` command for the whole gateway.
"""

__version__ = "0.1.0.dev0"
