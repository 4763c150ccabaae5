"""The packages of the programs' tests serve here too."""

from tests.programs.conftest import Packages, Samples, Service, packages, samples, service, whole

__all__ = ["Packages", "Samples", "Service", "packages", "samples", "service", "whole"]
