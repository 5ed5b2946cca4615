"""The control plane: the engine's Unix socket, and what an operator can ask and order through it."""
