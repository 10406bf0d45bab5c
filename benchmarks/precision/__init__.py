"""How far graphs of less precision answer as their float32 parent."""
