"""Where a message goes and whose an inbound one is: pure decisions, no I/O.

Start at :class:`smsgw.routing.table.RouteTable` for what goes out,
:class:`smsgw.routing.inbound.InboundTable` for what comes in, and :mod:`smsgw.routing.numbers` for
phone numbers.
"""
