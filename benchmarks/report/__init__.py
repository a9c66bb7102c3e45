"""What is told of a run: figures, goals, tables and charts."""
