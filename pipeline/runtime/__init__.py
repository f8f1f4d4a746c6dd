"""What every part of the project runs on: errors, files, shards, workers, digests, progress, costs."""
