"""The model's commands; torch is imported within them, never at the top."""
