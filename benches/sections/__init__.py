"""One section of docs/PERFORMANCE.md each: `TITLE`, and `run(brief)`, which gives its table."""
