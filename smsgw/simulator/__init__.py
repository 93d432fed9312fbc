"""A carrier to talk to: real servers with fake phones, for the demo, the tests and the benches.

Start at :class:`smsgw.simulator.ismg.Ismg`.
"""
