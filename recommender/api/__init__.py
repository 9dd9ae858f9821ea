"""Marquee from a notebook: the same steps as the pipeline's, without it. `recommender` has its names."""
