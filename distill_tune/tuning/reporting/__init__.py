"""`report.html`: one page that tells and shows what a search has found."""
