"""``python -m effvit_edge``, which is also what ``torchrun -m`` starts."""

import sys

from effvit_edge.cli.main import program

if __name__ == "__main__":
    sys.exit(program())
