"""What is learnt inside a fold, from its training clips alone."""
