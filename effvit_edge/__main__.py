"""``python -m effvit_edge``, which is also what ``torchrun -m`` starts."""

import sys

from effvit_edge.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
