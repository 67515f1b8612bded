"""The packed file tree: a folder of the host's in the form in which the guest reads it in place.

One table of fixed-size records, then names, then contents.  Record 0 is the root; the children of
a directory stand side by side, sorted by name, so nothing needs to be parsed.  :mod:`layout` says
it once, for :mod:`write`, :mod:`read` and the library OS.
"""
