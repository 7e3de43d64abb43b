"""Teacher sources, one per file; the file name is the value of `teacher.source`."""
