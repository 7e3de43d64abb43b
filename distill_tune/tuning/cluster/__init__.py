"""Ray: the connection, its nodes, and how many trials at a time there is room for."""
