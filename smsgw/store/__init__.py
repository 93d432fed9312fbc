"""Rows on disk: SQLAlchemy Core on SQLite, one writer thread with group commit.

Start at :class:`smsgw.store.database.Database`; the tables are in :mod:`smsgw.store.schema`.
"""
