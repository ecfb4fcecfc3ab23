"""``python -m truing`` is the same as ``truing``."""

from truing.cli.app import main

if __name__ == "__main__":
    main()
