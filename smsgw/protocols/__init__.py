"""Carrier protocols without I/O: bytes and ``now`` in, events and bytes out.

Start at :mod:`smsgw.protocols.cmpp` for one carrier's PDUs, :mod:`smsgw.protocols.session` for the
session every carrier shares, :mod:`smsgw.protocols.layout` for how a PDU is declared.
"""
