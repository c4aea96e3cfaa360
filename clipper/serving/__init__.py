"""Where the two layers meet: predict, feedback and administration as plain functions."""
