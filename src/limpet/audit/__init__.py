"""What a bundle can do, read from its bytes.

:mod:`inspect` reads, :mod:`checks` holds the bytes against the record and against what every bundle
promises, :mod:`text` and :mod:`html` show, :mod:`against` and :mod:`policy` compare.
"""

from limpet.audit.inspect import audit, audit_bundle
from limpet.audit.model import Audit, Finding, Protection

__all__ = ["Audit", "Finding", "Protection", "audit", "audit_bundle"]
