"""World Models on Super Mario Bros: a VAE, an MDN-RNN and a controller evolved in their dream.

Gymnasium 1 has no plug-ins that it finds by itself, but it imports a module named in an id:
`gymnasium.make("mario_world_model:SuperMarioBros-1-1-v0")`. After `import gymnasium` and `import
mario_world_model` the bare id works too.
"""

import sys

__version__ = "0.1.0"

# Where Gymnasium is not in use, `mario-world-model --help` need not wait for it.
if "gymnasium" in sys.modules:
    from mario_world_model.registration import register_environments

    register_environments()
