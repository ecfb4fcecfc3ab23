"""Would the data that is there let the pending revisions in? Which rows would they refuse, which would they alter?

Recorded revisions and a connection that only reads go in; an :class:`~truing.audit.model.Audit` comes out. ``walk``
follows the revisions change by change and makes *probes* (one kind per file of ``probes``); ``layers`` writes all
probes of a table into one query, so that the table is read once; ``measure`` runs it; ``findings`` says what it means.
"""
