"""The stages: collect, train each part, run them all."""
