"""`python -m pythy` is the command `pythy`."""

import sys

from pythy.cli import main

sys.exit(main())
