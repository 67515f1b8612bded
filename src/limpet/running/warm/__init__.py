"""A Python that has started and imported before it is started: the parts of a warm bundle.

``boot`` and ``snapshot_restore_py`` run in the guest; the other modules decide here.
"""
