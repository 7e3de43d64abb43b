"""What happens once before students train: the teacher loaded or trained, its outputs kept, the space looked at."""
