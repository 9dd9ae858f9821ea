"""What the notebooks look into beyond the pipeline's statistics: each a small table of a large one."""
