"""One student's training: the loop and what it is made of."""
