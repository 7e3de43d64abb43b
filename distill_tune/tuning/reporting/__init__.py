"""`report.html`: one page that says what a search has found, and shows how."""
