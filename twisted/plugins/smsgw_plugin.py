"""``twist smsgw``: found by Twisted by its place; imports nothing of ours until it is used."""

from twisted.application.service import ServiceMaker

smsgw = ServiceMaker("smsgw", "smsgw.daemon.main", "An SMS gateway.", "smsgw")
