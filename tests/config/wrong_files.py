"""What a file may hold that is wrong, and what is said of it."""

from typing import Any

from splitnet.cli.bench_tier import TierClientConfig
from splitnet.config import CloudConfig, DeviceConfig, EdgeConfig
from splitnet.cost.site import _SiteFile
from splitnet.cost.stored import StoredProfile
from splitnet.learn.identity import Roster
from splitnet.learn.legs import Hello, Introduction, PlainUpdate, Refusal, Task
from splitnet.learn.settings import FederatedSettings
from splitnet.package import Manifest
from splitnet.partition.exit_metadata import ExitDescription
from splitnet.plan.table import CostTable
from splitnet_device.federated.policy import FederatedConfig
from splitnet_server.rounds import Job

#: What is read from files of people or of ours, or from a peer in a federated round.
KINDS = (
    CloudConfig,
    EdgeConfig,
    DeviceConfig,
    TierClientConfig,
    FederatedConfig,
    FederatedSettings,
    _SiteFile,
    StoredProfile,
    CostTable,
    Manifest,
    tuple[ExitDescription, ...],
    Roster,
    Job,
    Hello,
    Introduction,
    Task,
    PlainUpdate,
    Refusal,
)

P = {"package": "p"}
C = P | {"listen": "h:1"}
SITE = {"site": {"device": "a", "edge": "b", "cloud": "c"}, "link": {}}

#: Type, value, pydantic's name of the error, what is said.
CASES: list[tuple[Any, Any, str, str]] = [
    (
        DeviceConfig,
        P | {"tls": "dir"},
        "model_type",
        "tls: expected a table with the keys directory, upstream_name, got 'dir'",
    ),
    (DeviceConfig, {"package": 4}, "path_type", "package: expected a path, as text, got 4"),
    (DeviceConfig, {}, "missing", "package: missing, expected a path, as text"),
    (DeviceConfig, P | {"workers": []}, "int_type", "workers: expected a whole number from 1 to 256, got []"),
    (
        DeviceConfig,
        P | {"workers": "many"},
        "int_type",
        "workers: expected a whole number from 1 to 256, got 'many'",
    ),
    (
        DeviceConfig,
        P | {"workers": 1.5},
        "int_type",
        "workers: expected a whole number from 1 to 256, got 1.5",
    ),
    (
        DeviceConfig,
        P | {"workers": 0},
        "greater_than_equal",
        "workers: expected a whole number from 1 to 256, got 0",
    ),
    (
        DeviceConfig,
        P | {"workers": 257},
        "less_than_equal",
        "workers: expected a whole number from 1 to 256, got 257",
    ),
    (
        DeviceConfig,
        P | {"workers": 16**5000},
        "less_than_equal",
        "workers: expected a whole number from 1 to 256, got a number of 20001 bits",
    ),
    (
        DeviceConfig,
        P | {"deadline_ms": {}},
        "float_type",
        "deadline_ms: expected a number above 0 and at most 3600000, got {}",
    ),
    (
        DeviceConfig,
        P | {"link": {"renew_s": "x"}},
        "float_type",
        "link.renew_s: expected a number from 1 to 2592000, got 'x'",
    ),
    (
        DeviceConfig,
        P | {"deadline_ms": float("nan")},
        "finite_number",
        "deadline_ms: expected a finite number above 0 and at most 3600000, got nan",
    ),
    (
        DeviceConfig,
        P | {"emulated_speed": 0},
        "greater_than",
        "emulated_speed: expected a number above 0 and at most 1, got 0",
    ),
    (DeviceConfig, P | {"plaintext": []}, "bool_type", "plaintext: expected true or false, got []"),
    (DeviceConfig, P | {"plaintext": "si"}, "bool_type", "plaintext: expected true or false, got 'si'"),
    (DeviceConfig, P | {"provider": True}, "string_type", "provider: expected text, got true"),
    (DeviceConfig, P | {"log_format": "xml"}, "literal_error", "log_format: expected 'text' or 'json', got 'xml'"),
    (
        DeviceConfig,
        P | {"upstream": "h"},
        "value_error",
        "upstream: address 'h': expected HOST:PORT with a port of 0 to 65535, such as 127.0.0.1:8001",
    ),
    (
        DeviceConfig,
        P | {"upstream": []},
        "too_short",
        "upstream: expected 'HOST:PORT', or several as 'A:1,B:2' or a list, got []",
    ),
    (
        DeviceConfig,
        P | {"upstream": [1]},
        "tuple_type",
        "upstream[0]: expected HOST:PORT as text, such as '127.0.0.1:8001', got 1",
    ),
    (DeviceConfig, P | {"window": 3}, "value_error", "in_flight 8 is more than window or queue_limit allow (3)"),
    (
        DeviceConfig,
        P | {"link": {"reconnect_ms": 5e3}},
        "value_error",
        "link: reconnect_ms 5000 is more than reconnect_most_ms 1500",
    ),
    (
        DeviceConfig,
        "text",
        "model_type",
        (
            "the whole: expected a table with the keys package, workers, queue_limit, max_message_bytes, "
            "max_batch, deadline_ms, emulated_speed, provider, …, got 'text'"
        ),
    ),
    (
        DeviceConfig,
        P | {"workers": "x" * 500},
        "int_type",
        f"workers: expected a whole number from 1 to 256, got '{'x' * 37}...{'x' * 38}'",
    ),
    (
        CloudConfig,
        C | {"listen": 8001},
        "tuple_type",
        "listen: expected HOST:PORT as text, such as '127.0.0.1:8001', got 8001",
    ),
    (CloudConfig, C | {"access": {}}, "tuple_type", "access: expected a list of tables, got {}"),
    (
        CloudConfig,
        C | {"access": [{"names": "x"}]},
        "tuple_type",
        "access[0].names: expected a list of text, 1 to 1024 of them, got 'x'",
    ),
    (
        CloudConfig,
        C | {"access": [{"names": ["x" * 254]}]},
        "string_too_long",
        f"access[0].names[0]: expected text of 1 to 253 characters, got '{'x' * 37}...{'x' * 38}'",
    ),
    (
        CloudConfig,
        C | {"access": [{"names": [""]}]},
        "string_too_short",
        "access[0].names[0]: expected text of 1 to 253 characters, got ''",
    ),
    (
        CloudConfig,
        C | {"access": [{"names": ["x"] * 1025}]},
        "too_long",
        "access[0].names: expected a list of text, 1 to 1024 of them, got ['x', 'x', 'x', 'x', 'x', 'x', ...]",
    ),
    (
        CloudConfig,
        C | {"access": [7]},
        "model_type",
        "access[0]: expected a table with the keys names, models, load, got 7",
    ),
    (
        CloudConfig,
        C | {"quota": {"stream": 3}},
        "extra_forbidden",
        "quota.stream: unknown key, did you mean streams?",
    ),
    (
        CloudConfig,
        C | {"queue_limits": 3},
        "extra_forbidden",
        "queue_limits: unknown key, did you mean queue_limit?",
    ),
    (
        CloudConfig,
        C | {"tls": {"directory": "d", "workers": 3}},
        "extra_forbidden",
        "tls.workers: unknown key, it belongs at the top of the file, above the first table",
    ),
    (
        CloudConfig,
        C | {"max_delay_ms": 3},
        "extra_forbidden",
        "max_delay_ms: unknown key, it belongs in [batching]",
    ),
    (
        CloudConfig,
        C | {"quota": {'a "b"\x9b': 3}},
        "extra_forbidden",
        r'quota."a \"b\"\u009b": unknown key, known here are in_flight, streams',
    ),
    (
        FederatedSettings,
        {"server": {"trimmed": 0.5}},
        "less_than",
        "server.trimmed: expected a number of at least 0 and below 0.5, got 0.5",
    ),
    (
        _SiteFile,
        SITE | {"link": 3},
        "model_type",
        "link: expected a table with the keys device-edge, edge-cloud, got 3",
    ),
    (_SiteFile, SITE | {"machine": []}, "dict_type", "machine: expected a table, got []"),
    (
        _SiteFile,
        {"site": SITE["site"] | {"machines": "a"}},
        "list_type",
        "site.machines: expected a list of text, got 'a'",
    ),
    (
        _SiteFile,
        {"machine": {"a": {"memory": "much"}}},
        "quantity",
        "machine.a.memory: expected bytes above zero, such as 512000000, '512M' or '2Gi', got 'much'",
    ),
    (
        _SiteFile,
        {"machine": {"a.b": {"precisions": ["int4"]}}},
        "literal_error",
        "machine.\"a.b\".precisions[0]: expected 'float32', 'float16' or 'int8', got 'int4'",
    ),
    (
        _SiteFile,
        {"machine": {"a": {"precisions": 4}}},
        "tuple_type",
        "machine.a.precisions: expected a list of 'float32', 'float16' or 'int8', not empty, got 4",
    ),
    (
        _SiteFile,
        {"machine": {"a": {"cores": 2.0}}},
        "int_type",
        "machine.a.cores: expected a whole number of at least 1, got 2.0",
    ),
    (
        StoredProfile,
        {"model_sha256": "x"},
        "string_pattern_mismatch",
        "model_sha256: expected text that matches ^[0-9a-f]{64}$, got 'x'",
    ),
    (StoredProfile, {"format_version": 2}, "literal_error", "format_version: expected 1, got 2"),
    (
        CostTable,
        [],
        "dataclass_type",
        (
            "the whole: expected a table with the keys tiers, nodes, tensors, links, objective, memory_bytes, "
            "keep_on_device, exits, …, got []"
        ),
    ),
    (CostTable, {"tier": []}, "unexpected_keyword_argument", "tier: unknown key, did you mean tiers?"),
    (CostTable, {"tiers": 3}, "tuple_type", "tiers: expected the list ['device', 'edge', 'cloud'], got 3"),
    (
        CostTable,
        {"links": [3]},
        "missing",
        (
            "links[1]: missing, expected a table with the keys bandwidth_bps, rtt_ms, energy_mj_per_byte, "
            "message_bytes"
        ),
    ),
    (
        CostTable,
        {"memory_bytes": [1.0, None]},
        "missing",
        "memory_bytes[2]: missing, expected a number of at least 0",
    ),
    (
        Manifest,
        {"exits": [{"outputs": {"": "y"}}]},
        "string_too_short",
        "exits[0].outputs.\"\": expected text of 1 to 512 characters, got ''",
    ),
    (Manifest, {"exits": [{"outputs": {}}]}, "too_short", "exits[0].outputs: expected a table, not empty, got {}"),
    (
        Manifest,
        {"model": {"inputs": [{"shape": ["b"]}]}},
        "literal_error",
        "model.inputs[0].shape[0]: expected a whole number from 0 to 2147483648 or 'batch', got 'b'",
    ),
    (
        Manifest,
        {"model": {"inputs": []}},
        "too_short",
        "model.inputs: expected a list of tables, not empty, got []",
    ),
    (
        Roster,
        {"devices": [{"public_key": 3}]},
        "bytes_type",
        "devices[0].public_key: expected 64 lower-case hexadecimal digits, got 3",
    ),
    (
        tuple[ExitDescription, ...],
        [{"tensor": 1}],
        "extra_forbidden",
        "[0].tensor: unknown key, known here are outputs, confidence, threshold, calibration",
    ),
]
