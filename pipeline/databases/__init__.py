"""The databases: collections of recordings as their owners ship them, each with a reader of its own."""
