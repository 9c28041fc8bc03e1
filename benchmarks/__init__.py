"""How fast the product is, measured beside what people have today."""
