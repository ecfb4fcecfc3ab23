"""Do the mappers tell the truth about the database?

Models and a snapshot of the database in; findings with the mapper's own names and lines out. Each rule is one file.
"""
