#!/usr/bin/env bash
# Guessed: inotify tells a change of a file's times from a write, so that `touch`, `cp -p` and `rsync -t` are IN_ATTRIB and what
#   writes is IN_MODIFY: inotify(7) names "timestamps (for example, utimensat(2))" under IN_ATTRIB.
# Seen: only where both times are set. `touch -m`, which sets the time of change alone, is IN_MODIFY and no IN_ATTRIB, though not a
#   byte was written: the kernel takes utimensat with UTIME_OMIT for the time of access for a write. Who guards a database by
#   inotify hears a write there, and cannot tell it from one.
# Version: Linux 6.18, coreutils 9.1, inotify_simple 2.0.1
# Date: 2026-11-28
# Source: run here; fsnotify_change() of include/linux/fsnotify.h ("both times implies a utime(s) call")
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check inotify_simple==2.0.1
cat > "$folder/watch.py" <<'PYTHON'
import os, subprocess, sys
from inotify_simple import INotify, flags

os.chdir(sys.argv[1])
for name in ("file", "other"):
    with open(name, "wb") as file:
        file.write(b"the same")
watching = INotify()
watching.add_watch("file", flags.MODIFY | flags.ATTRIB)
seen = {}
for command in ("touch file", "touch -m file", "touch -a file", "touch -d 2020-01-01 file", "chmod 600 file",
                "cp -p --attributes-only other file", "cp other file"):
    before = open("file", "rb").read()
    subprocess.run(command, shell=True, check=True)
    found = {flag.name for event in watching.read(timeout=100) for flag in flags.from_mask(event.mask)}
    seen[command] = "write" if "MODIFY" in found else "attributes" if found else "nothing"
    print(f"{command:36} {seen[command]:12} content {'changed' if open('file', 'rb').read() != before else 'as it was'}")
print(os.uname().release)
writes = [command for command, told in seen.items() if told == "write"]
sys.exit(0 if writes == ["touch -m file", "cp other file"] else f"as guessed, or otherwise: {writes}")
PYTHON
"$folder/venv/bin/python" "$folder/watch.py" "$folder"
