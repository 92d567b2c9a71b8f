"""Everything that knows of MLflow."""
