"""What the model is told: prompts as vectors, by a frozen Qwen encoder or by hashed characters."""
