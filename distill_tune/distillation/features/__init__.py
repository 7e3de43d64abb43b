"""The layers inside a network: finding them, pairing them, and capturing their outputs."""
