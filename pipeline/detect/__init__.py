"""Chapter 3: spatio-temporal action detection with STAGE."""
