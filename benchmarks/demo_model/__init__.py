"""The demo model on real footage: windows of known motion over frames of real videos."""
