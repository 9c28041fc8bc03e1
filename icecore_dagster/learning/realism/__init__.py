"""How like the study's and how like real particles the drawn ones are, found out by learning from them."""
