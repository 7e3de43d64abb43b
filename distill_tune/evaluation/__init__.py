"""How good a student is, and with what certainty: metrics, intervals, verdict, latency, corrupted inputs."""
