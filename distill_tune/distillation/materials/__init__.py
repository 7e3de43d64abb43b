"""What a training reads: data, views and the teacher's outputs, opened where it runs and served in batches."""
