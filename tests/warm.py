"""What processes of tests are forked from: all that takes seconds to import, or that MLflow works out once."""

import mlflow.pyfunc  # noqa: F401
from mlflow.utils.requirements_utils import _init_packages_to_modules_map

import wbc.run  # noqa: F401

_init_packages_to_modules_map()
