"""Events to webhooks: start at :mod:`smsgw.services.webhooks.subscribers`, which keeps a lane for
each; :mod:`smsgw.services.webhooks.book` is what their owners do with them."""
