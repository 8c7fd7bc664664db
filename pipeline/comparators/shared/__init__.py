"""What the features of several comparators are made of; knows no labels and no folds."""
