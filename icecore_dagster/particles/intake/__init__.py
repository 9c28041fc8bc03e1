"""Taking runs in: from what the instrument wrote to particle tables, packed crops and the labelled set."""
