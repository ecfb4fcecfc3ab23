"""What do a person's Alembic revisions say, and which are still to be run? A project goes in; values come out.

Revisions and ``env.py`` are other people's programs: they run in a child process, without a database.
"""
