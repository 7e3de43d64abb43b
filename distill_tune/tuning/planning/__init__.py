"""What is settled before a search begins: limits, disk space, time, lanes, and the space without a teacher."""
