"""`python -m silmu`, which is the command `silmu`."""

from __future__ import annotations

import sys

from silmu.cli import main

if __name__ == "__main__":
    sys.exit(main())
