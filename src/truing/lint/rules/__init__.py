"""The rules of ``truing lint``: every module here is one rule; nothing else has to be edited to add one."""
