"""What is in this database, for a person who reads? A page and a diagram, made from a snapshot, so never out of date.

In: a :class:`~truing.catalog.model.Snapshot` and which of its tables are wanted. Out: text (Markdown with a Mermaid
diagram, or SVG) that is the same for the same schema: no dates, no counts of rows, no name of the server.
"""
