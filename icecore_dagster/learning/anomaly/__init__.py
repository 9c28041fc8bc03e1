"""How unlike what is known a particle is."""
