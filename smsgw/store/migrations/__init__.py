"""The alembic steps of the schema, part of the package; :mod:`smsgw.store.revisions` runs them."""
