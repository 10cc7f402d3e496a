"""``python -m boundary_bench`` is the command ``boundary-bench``."""

import sys

from boundary_bench.commands import main

sys.exit(main())
