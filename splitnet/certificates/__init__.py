"""A site's certificates: its authority, the certificates of its machines, and what TLS reads of them."""

from splitnet.certificates.authority import BUNDLE, Authority
from splitnet.certificates.issue import certify, make_machine, renew
from splitnet.certificates.machine import CERTIFICATE, FILES, PRIVATE_KEY, Machine, read_machine
from splitnet.certificates.names import alternative_names
from splitnet.certificates.pem import Description, describe_certificate, read_certificates
from splitnet.certificates.renewal import begin_renewal, end_renewal, switch_key
from splitnet.certificates.request import make_request, read_request
from splitnet.certificates.validity import Validity, day

__all__ = [
    "BUNDLE",
    "CERTIFICATE",
    "FILES",
    "PRIVATE_KEY",
    "Authority",
    "Description",
    "Machine",
    "Validity",
    "alternative_names",
    "begin_renewal",
    "certify",
    "day",
    "describe_certificate",
    "end_renewal",
    "make_machine",
    "make_request",
    "read_certificates",
    "read_machine",
    "read_request",
    "renew",
    "switch_key",
]
