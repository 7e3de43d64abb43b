"""What a teacher leaves on disk for students: its logits, features and weights."""
