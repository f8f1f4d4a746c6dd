"""What a run will cost: the graph of its jobs, the work in each, and what that work cost before."""
