"""What is known about trials and what of it survives a restart: records, ledger, logbook, and the claim to a folder."""
