"""The layers inside of a network: which there are, and how what they give is caught."""
