"""White blood cell classification under domain shift. Here: settings that libraries read when they are imported."""

from wbc.surroundings import set_defaults

set_defaults(
    GIT_PYTHON_REFRESH="quiet",  # no warning where there is no git
    MLFLOW_DISABLE_TELEMETRY="true",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true",  # with the password, where there is one
    MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL="5",  # seconds; MLflow's ten miss a run of the demo
    PGCONNECT_TIMEOUT="5",  # seconds; else PostgreSQL that takes connections and says nothing is waited for for ever
    RAY_COLOR_PREFIX="0",
    RAY_DEDUP_LOGS="0",  # what each run logs rather than a digest
    RAY_USAGE_STATS_ENABLED="0",
)
