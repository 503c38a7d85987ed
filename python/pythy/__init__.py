"""Test C code from Python."""

from pythy import _native as _native
