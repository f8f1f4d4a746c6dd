"""Action recognition, Ch. 5: clips, training, evaluation."""
