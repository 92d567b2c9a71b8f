"""Everything that knows of MLflow. Whatever asks a store that fails, or does not answer, raises a TrackingError."""
