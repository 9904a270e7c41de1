"""`make audit`: asks an advisory service about every pinned package, and says which of three things is so.

Exit status 0: every one was looked up and none has a known fault. 1: one has, or a pin is below a floor of FLOORS.
3: NOT AUDITED, for the service did not answer for all of them; pip-audit alone calls that "no known vulnerabilities".
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINS = ROOT / "requirements-dev.txt"  # every package of requirements.txt is among them
SOUND, FAULTY, NOT_AUDITED = 0, 1, 3
PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([\d.]+)", re.MULTILINE)
FLOORS = {
    "starlette": ("1.1.0", "CVE-2026-48818"),
    "streamlit": ("1.54.0", "CVE-2026-33682"),
}
"""Advisories that matter to this program, held without any network: package → first sound version, and why."""


def below_floor(pins: str) -> list[str]:
    """What a requirements file pins below its floor."""
    pinned = dict(PIN.findall(pins))
    return [
        f"{name} {pinned[name]} is below {floor} ({why})"
        for name, (floor, why) in FLOORS.items()
        if name in pinned and _parts(pinned[name]) < _parts(floor)
    ]


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.strip(".").split("."))


def audit(pins: Path, *options: str) -> tuple[int, list[str]]:
    """One file through pip-audit: the exit status, and what to say."""
    command = [
        sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--requirement", str(pins),
        "--format", "json", "--progress-spinner", "off", *options,
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = ran.stderr.strip().splitlines() or ["pip-audit said nothing"]
        return NOT_AUDITED, [f"{pins.name}: NOT AUDITED: {said[-1]}"]
    faulty = [
        f"{pins.name}: {one['name']} {one['version']}: {', '.join(fault['id'] for fault in one['vulns'])}"
        for one in packages
        if one.get("vulns")
    ]
    unknown = [one for one in packages if "skip_reason" in one]
    if unknown:
        say = f"{pins.name}: NOT AUDITED: {len(unknown)} of {len(packages)} packages: {unknown[0]['skip_reason']}"
        return (FAULTY if faulty else NOT_AUDITED), [*faulty, say]
    return (FAULTY, faulty) if faulty else (SOUND, [f"{pins.name}: {len(packages)} packages audited, none is faulty"])


def main() -> int:
    """Floors first: they need no network."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="Other options are pip-audit's.")
    parser.add_argument("pins", nargs="?", type=Path, default=PINS, help="the file; else requirements-dev.txt")
    parser.add_argument("--may-be-unreached", action="store_true", help="exit with 0 where it only was not audited")
    given, options = parser.parse_known_args()
    floors = below_floor(given.pins.read_text(encoding="utf-8"))
    status, said = (FAULTY, floors) if floors else audit(given.pins, *options)
    print("\n".join(said))
    return SOUND if status == NOT_AUDITED and given.may_be_unreached else status


if __name__ == "__main__":
    sys.exit(main())
