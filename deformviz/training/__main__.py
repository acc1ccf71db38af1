"""`python -m deformviz.training`: train a task's networks and keep them in a file."""

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in app.py; torch is not loaded yet

from .command import main

sys.exit(main())
