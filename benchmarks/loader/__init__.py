"""How fast training clips come: storage formats, prepared clips, and other loaders."""
