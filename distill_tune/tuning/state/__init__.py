"""What is known of trials, and what of it outlives the process: records, ledger, logbook, and the claim to a folder."""
