"""Do the models, the migrations and the live database agree, object by object, and if not: who is wrong, and what then?

In: a project, models, the live database or a snapshot of it. Out: one :class:`truing.drift.model.Drift` for each object
on which they disagree. ``builds`` has the models and the migrations built on scratch databases, ``live`` reads the live
one, ``compare`` puts the three side by side, ``fixes`` writes what would bring them together, and ``run`` is all of it.
"""
