"""Reports results: goals, Markdown, charts, and the page in ``docs/``."""
