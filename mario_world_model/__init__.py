"""World Models on Super Mario Bros: a VAE, an MDN-RNN and a controller evolved in their dream."""

__version__ = "0.1.0"
