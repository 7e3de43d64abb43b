"""Ways to worsen inputs, one a file, each a pure function of (inputs, severity, seed)."""
