"""distill_tune: search, confirm and export the best student for a teacher and a size limit.

Importing this package imports neither torch nor ray; only the modules that need them do.
"""

from distill_tune.student import LoadedStudent, load_student
from distill_tune.version import __version__

__all__ = ["LoadedStudent", "__version__", "load_student"]
