#!/usr/bin/env python3
"""recipe.py REPORT TABLE RECIPE: every row of TABLE is answered by an item of REPORT (gdr-guest check -o json) that is right,
and where RECIPE is there, TABLE has every setting of its sections 5 and 6."""

import fnmatch
import json
import os
import re
import sys

SETTING = re.compile(r"ip link set|ethtool|sysctl|nvidia-smi -(pm|i \$idx)|[A-Z_]+=|6b\.")


def fail(text):
    sys.exit("recipe.py: " + text)


def items(path):
    with open(path, encoding="utf-8") as file:
        for layer in json.load(file)["layers"]:
            for item in layer.get("items", []):
                yield layer["name"], item


def rows(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                yield line.rstrip("\n").split("\t")


def settings(path):
    """The lines of the recipe that set something."""
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as file:
        text = file.read().split("##### 5.", 1)[1]
    for line in map(str.strip, text.splitlines()):
        if SETTING.match(line):
            yield line


def main(report, table, recipe):
    found = list(items(report))
    wanted = list(rows(table))
    for layer, key, want, line in wanted:
        own = [item for name, item in found if name == layer and fnmatch.fnmatchcase(item["key"], key)]
        if not own:
            fail(f"no item answers for: {line}")
        for item in own:
            # What is right has no 'fix' but none, or says why it cannot be had.
            if item.get("fix", "none") != "none" or not fnmatch.fnmatchcase(item["want"], want):
                fail(f"{line}: {item}")
    for line in settings(recipe):
        if not any(line == row[3] or (line.startswith("6b.") and line.startswith(row[3])) for row in wanted):
            fail(f"the table lacks: {line}")
    print(f"{len(wanted)} settings, each with its item")


main(*sys.argv[1:])
