"""Customers who bind to us: what they submit, and what they are brought. No sockets, no PDUs."""
