#!/usr/bin/env python3
"""Counts the places in ApusCore where a lower folder names a type of a higher one. The number may only fall.

    Scripts/check-layers.py            fails when there are more than Scripts/upward-references.txt says
    Scripts/check-layers.py --list     names each: file, type, the folder that declares it
"""
import pathlib
import re
import sys

# From the bottom to the top: a folder may name the types of those before it.
ORDER = ["Context", "Types", "Tensor", "Ops", "Graph", "Engine", "Autograd", "Program", "Trace"]
ROOT = pathlib.Path(__file__).resolve().parent.parent
CORE = ROOT / "Sources" / "ApusCore"
LIMIT = ROOT / "Scripts" / "upward-references.txt"

DECLARATION = re.compile(
    r"^(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|final|indirect|private|fileprivate)\s+)*"
    r"(?:class|struct|enum|protocol|actor|typealias)\s+(\w+)",
    re.MULTILINE,
)


def code(path):
    """A file's text without comments and string literals, which may name anything."""
    text = path.read_text()
    text = re.sub(r'"""(?:.|\n)*?"""', '""', text)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)
    text = re.sub(r"/\*(?:.|\n)*?\*/", "", text)
    return re.sub(r"//[^\n]*", "", text)


def main():
    files = {path: code(path) for path in sorted(CORE.rglob("*.swift"))}
    folders = {path: path.relative_to(CORE).parts[0] for path in files}
    unknown = sorted(set(folders.values()) - set(ORDER))
    if unknown:
        sys.exit(f"Scripts/check-layers.py does not know where {', '.join(unknown)} stands: add it to ORDER")
    declared = {}
    for path, text in files.items():
        for name in DECLARATION.findall(text):
            declared.setdefault(name, folders[path])
    found = []
    for path, text in files.items():
        level = ORDER.index(folders[path])
        for name in sorted(set(re.findall(r"\b[A-Z]\w*", text))):
            home = declared.get(name)
            if home and ORDER.index(home) > level:
                found.append((path.relative_to(ROOT), name, home))
    if "--list" in sys.argv[1:]:
        for path, name, home in found:
            print(f"{path}: {name} ({home})")
    limit = int(LIMIT.read_text())
    print(f"{len(found)} references upward in ApusCore, at most {limit}")
    if len(found) > limit:
        sys.exit("more than before: move what is named down, or what names it up (--list shows all)")
    if len(found) < limit:
        sys.exit(f"fewer than before: write {len(found)} into {LIMIT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
