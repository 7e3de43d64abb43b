"""One student's training: the loop and its parts."""
