"""``python -m smsgw``: the same as ``smsgw``."""

from smsgw.daemon.program import main

main()
