"""CPU models: what CPUID, the model-specific registers and the signature at reset show, as data.

A machine has one model, whichever accelerator runs it. `find_model` knows those that this package defines; an
accelerator may have one of its own, named `host`.
"""

from .cpuid import CpuidEntry, CpuidTable
from .errors import UnknownModelError
from .model import CpuModel
from .model_msrs import ModelMsr
from .registry import DEFAULT_MODEL, find_model, model_names

__all__ = [
    "DEFAULT_MODEL",
    "CpuModel",
    "CpuidEntry",
    "CpuidTable",
    "ModelMsr",
    "UnknownModelError",
    "find_model",
    "model_names",
]
