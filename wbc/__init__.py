"""White blood cell classification under domain shift. Here: settings that libraries read when they are imported."""

import os

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # no warning where there is no git
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "5")  # seconds; MLflow's ten miss a run of the demo
