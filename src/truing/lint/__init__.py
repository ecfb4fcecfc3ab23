"""Is there anything in the models, the revisions or the database that must not be there?

Sources (:mod:`truing.lint.references`) turn each of the three into plain facts; rules (:mod:`truing.lint.rules`, one
file each) look at the facts; :mod:`truing.lint.engine` brings them together and applies what people allowed.
"""
