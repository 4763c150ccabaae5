"""A device in federated rounds, free of Flower's types: what it does in each leg, and keeps between two."""

from splitnet_device.federated.policy import FederatedConfig, read_federated_config
from splitnet_device.federated.readiness import check_ready
from splitnet_device.federated.taking_part import Participant

__all__ = ["FederatedConfig", "Participant", "check_ready", "read_federated_config"]
