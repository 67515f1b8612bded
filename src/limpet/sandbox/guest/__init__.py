"""What runs in the guest: packed as it is, and started by the guest's own Python.

It runs under any CPython from 3.9 on and uses the standard library alone.  Code that nobody trusts
runs in the same interpreter and can change all of it, so nothing here protects the host: what the
host believes of an answer, it has checked (:mod:`limpet.sandbox.answers`).
"""
