"""Plain PyTorch: one student's training, its losses, optimizers and augmentation, and the teacher's cached outputs."""
