"""Soccer event spotting: games, RMS-Net's clips, training, spots, evaluation, highlights (Ch. 4)."""
