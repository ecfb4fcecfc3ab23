"""Where tables are named: in the models, in recorded revisions, in the live catalog. Each gives the same facts."""
