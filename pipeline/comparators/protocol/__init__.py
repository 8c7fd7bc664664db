"""How every method is run: the features of all clips of a database, and all folds of a dataset."""
