"""The doors for customers who bind to us over SMPP or CMPP. Start at :class:`server.Northbound`."""
