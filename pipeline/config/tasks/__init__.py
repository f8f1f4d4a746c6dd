"""What each task reads of the configuration: what decides whether it reruns. One module for each chapter."""
