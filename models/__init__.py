"""Networks of trainable lookup tables, trained in table space and frozen to integers."""
