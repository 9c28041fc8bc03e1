"""Writing a simulated run as VisualSpreadsheet 4 leaves it: list, export, texts, collages; nothing is drawn here."""
