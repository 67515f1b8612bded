"""The version of Limpet: part of every bundle's record."""

__version__ = "0.1.0"
