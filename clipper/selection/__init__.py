"""The model selection layer: which models answer, and what feedback teaches."""
