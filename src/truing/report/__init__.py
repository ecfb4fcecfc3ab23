"""Say it to a person or to a program: one :class:`~truing.report.document.Document` in, text or JSON out.

Results go to standard output, progress and logs to standard error. Nothing here decides anything but how it looks.
"""
