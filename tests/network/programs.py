"""Programs for tests: what asks IMDS at its own address, in the shell and in Python."""

from __future__ import annotations

import sys

NAME = "http://169.254.169.254/metadata/instance/compute/name?api-version=2021-02-01&format=text"
CURL = ("curl", "-sS", "--max-time", "5", "-H", "Metadata:true")
ASK = (*CURL, NAME)
# Says what it gets line by line, and asks again for every line that it reads.
ASK_AGAIN = ("sh", "-c", 'while "$@" 2>&1; echo; read -r again; do :; done', "sh", *ASK)
PYTHON = (sys.executable, "-I", "-c")
