"""Teacher sources, one a file; a file's name is the source's name in `teacher.source`."""
