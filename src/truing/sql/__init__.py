"""What does this SQL say? Text goes in; statements, typed changes and suppression comments come out.

``parse`` is the only module that knows the SQL parser; ``lower`` turns statements into :mod:`truing.changes`.
"""
