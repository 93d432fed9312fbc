"""The question engine: a request's ordered steps, whose assignees answer by SMS; see engine.py.

Pure: ``model`` (rules and what follows), ``presets`` (words and texts), ``settings``, ``places``.
New ones: ``drafts`` as they are written, ``checks`` of them, ``types`` saved by name. One
transaction: ``changes`` collects it, ``opening`` and ``asking`` ask people, ``reply`` reads an
inbound message with ``matching`` and ``one_reply``, ``following`` closes steps, ``due`` does what
time brings (``timers``), ``votes`` and ``counting`` take votes of anyone. ``engine`` is the front
door; ``view`` and ``evidence`` show.
"""
