"""Python code that nobody trusts, run from Python by an interpreter in a guest."""
