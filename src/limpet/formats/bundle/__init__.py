"""A bundle's file: one executable of monitor, guest memory, the guest's own file and the record.

``write`` makes its one canonical form, ``read`` takes a hostile one apart and accepts no other.
"""
