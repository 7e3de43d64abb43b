"""distill_tune: the best student that a teacher and a size limit allow, searched, confirmed and exported.

Importing this package pulls in neither torch nor ray; the modules that need them import them.
"""

__version__ = "0.1.0"
