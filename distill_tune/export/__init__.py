"""What a search leaves behind for others: the student's folder, the table of trials, the summary."""
