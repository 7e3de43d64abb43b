"""distill_tune: the best student that a teacher and a size limit allow, searched, confirmed and exported.

Importing this package pulls in neither torch nor ray; the modules that need them import them.
"""

from distill_tune.student import LoadedStudent, load_student
from distill_tune.version import __version__

__all__ = ["LoadedStudent", "__version__", "load_student"]
