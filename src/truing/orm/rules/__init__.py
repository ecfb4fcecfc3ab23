"""The rules about mappers: one file each, found by themselves."""
