"""Ray: the connection, its nodes, and how many trials fit at a time."""
