"""Classes of pieces_os_client by name, whichever of its modules they are in."""

import importlib
import re

from pieces_os_client.api_client import ApiClient  # noqa: F401
from pieces_os_client.configuration import Configuration  # noqa: F401
from pieces_os_client.exceptions import ApiException  # noqa: F401


def __getattr__(name):
    module = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    package = "api" if name.endswith("Api") else "models"
    try:
        return getattr(importlib.import_module(f"pieces_os_client.{package}.{module}"), name)
    except ModuleNotFoundError as error:
        raise AttributeError(name) from error
