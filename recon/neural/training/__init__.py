"""How the networks are trained; nothing here is needed to use them."""
