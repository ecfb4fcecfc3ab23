"""Which question does a change ask of the rows? One file for each kind of change; ``probe`` is what they all make."""
