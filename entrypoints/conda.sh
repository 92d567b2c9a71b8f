#!/bin/sh
# Stands in .venv/bin for a conda that is not installed, so that a plain `mlflow run .` takes .venv; `make setup` puts it
# there. MLflow asks conda for the environment of conda.yaml, then sources the first `activate` on PATH: that of .venv.
# Where there is a conda, it gets the call as it is.
IFS=:
for folder in $PATH; do
    if [ -x "$folder/conda" ] && ! grep -qs 'Stands in .venv/bin for a conda' "$folder/conda"; then
        exec "$folder/conda" "$@"
    fi
done
unset IFS
if [ "$*" = "env list --json" ]; then
    echo '{"envs": []}'
elif [ "$1 $2" = "env create" ] && grep -qs '^name: wbc-benchmark' "$6"; then  # -n NAME --file conda.yaml
    echo "no conda on PATH: the run takes the active .venv" >&2
elif [ "$*" != --help ]; then
    echo "conda is not installed: $0 only stands in for it where 'mlflow run' asks for conda.yaml." >&2
    exit 127
fi
