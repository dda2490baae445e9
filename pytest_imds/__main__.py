"""The command line: ``python -m pytest_imds``, or ``pytest-imds``."""

from __future__ import annotations

import sys

from pytest_imds.command.main import main

if __name__ == "__main__":
    sys.exit(main())
