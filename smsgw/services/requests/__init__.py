"""The question engine: a request's ordered steps, whose assignees answer by SMS; see engine.py.

``model`` folds answers and says what follows (pure); ``presets`` holds the words; ``engine`` is the
front door; ``reply`` reads one inbound message in one transaction, with ``matching`` to find what
it answers; ``changes`` applies what follows; ``drafts`` checks a
new request, ``view`` shows one.
"""
