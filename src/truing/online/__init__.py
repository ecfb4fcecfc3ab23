"""Bring a change about while the application keeps writing.

A change is planned once into steps (:mod:`truing.plan`), the plan is kept in the journal, and the runner carries it
out: short locks in two stages, small batches in key order, long statements without locks. Each operation is one file
in :mod:`truing.online.operations`.
"""
