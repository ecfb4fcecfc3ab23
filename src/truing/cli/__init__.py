"""The command line: options in, a document and an exit code out. Thin: it decides nothing.

One file for each command; what a command needs is imported inside it, so that ``truing --help`` stays instant.
"""
