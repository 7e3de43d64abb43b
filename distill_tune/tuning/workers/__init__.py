"""Training: groups of worker processes that stay warm, and what a training leaves on disk."""
