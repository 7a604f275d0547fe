"""`python -m mario_world_model` is `mario-world-model`."""

import sys

from mario_world_model.cli import main

if __name__ == "__main__":
    sys.exit(main())
