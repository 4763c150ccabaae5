"""One package of several plans, put together of packages of one plan each."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from splitnet.package import Manifest, Package, plan_id, read_manifest, write_package


def together(packages: Sequence[Path], target: Path, *, from_bps: Sequence[float]) -> Package:
    """Write a package whose plans are those of `packages`, the first of them the default.

    Args:
        packages: of the same model.
        target: where to write.
        from_bps: from which bandwidth on each is said to be the best.
    """
    files: dict[str, bytes] = {}
    manifests = [_renamed(path, number, files) for number, path in enumerate(packages, start=1)]
    whole = manifests[0] | {
        key: [e for one in manifests for e in one[key]] for key in ("segments", "exits", "plans")
    }
    for plan, bps in zip(whole["plans"], from_bps, strict=True):
        plan["bandwidth_from_bps"] = bps
    manifest = Manifest.model_validate_json(json.dumps(whole))
    plans = tuple(
        plan.model_copy(
            update={
                "id": plan_id(
                    [next(one for one in manifest.segments if one.id == name) for name in plan.segments],
                    plan.wires,
                    [one for one in manifest.exits if one.segment in plan.segments],
                )
            }
        )
        for plan in manifest.plans
    )
    return write_package(target, manifest.model_copy(update={"plans": plans}), files)


def _renamed(path: Path, number: int, files: dict[str, bytes]) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(read_manifest(path).model_dump_json())
    names = {
        entry["id"]: f"{entry['tier']}-{number}" if number > 1 else entry["id"] for entry in manifest["segments"]
    }
    for entry in manifest["segments"]:
        content = (path / entry["file"]).read_bytes()
        entry["id"] = names[entry["id"]]
        entry["file"] = f"segments/{entry['id']}.onnx"
        files[entry["file"]] = content
    for entry in manifest["exits"]:
        entry["segment"] = names[entry["segment"]]
    for plan in manifest["plans"]:
        plan["segments"] = [names[name] for name in plan["segments"]]
    return manifest
