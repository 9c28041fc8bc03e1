"""What particles of each material look like before any light falls on them: outlines, thickness, absorption."""
