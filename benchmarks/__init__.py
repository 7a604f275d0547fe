"""Rates of the stages beside what people would otherwise use, both sides measured in one run."""
