"""The policy of an RBAC database as a file: permissions, tenants, roles; written out, compared, and applied.

``document`` is the file, ``read`` makes one of a database, ``apply`` brings a database to one by the fewest changes.
People's grants are not part of it: they change all day, and are data.
"""
