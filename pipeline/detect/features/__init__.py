"""Features of people and objects for action detection: computed here, or imported."""
