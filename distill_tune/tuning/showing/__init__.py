"""What users see of a search: the terminal, TensorBoard, and the wording of both."""
