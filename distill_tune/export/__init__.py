"""The outputs of a search: the student's folder, the table of trials, the summary."""
