"""What people see of a search: the terminal, TensorBoard, and the words for both."""
