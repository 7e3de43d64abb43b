"""What can be known before a search begins: limits, room, time, lanes, and the space without a teacher."""
