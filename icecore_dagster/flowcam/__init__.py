"""Reading the instrument's own files; knows VisualSpreadsheet's words and nothing of what is done with them."""
