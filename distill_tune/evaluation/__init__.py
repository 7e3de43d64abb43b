"""How good a student is, and how sure that is: metrics, intervals, the verdict, latency, corrupted inputs."""
