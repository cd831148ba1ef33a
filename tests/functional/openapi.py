#!/usr/bin/env python3
"""openapi.py URL - asks for everything that the OpenAPI document names, and holds the answers against its schemas."""

import json
import sys
import urllib.error
import urllib.request

base = sys.argv[1]


def get(path):
    try:
        with urllib.request.urlopen(base + path, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def check(schema, value, where):
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "oneOf" in schema:  # Of a number and words.
        schema = next(one for one in schema["oneOf"] if (one["type"] == "string") == isinstance(value, str))
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
    kind = schema["type"]
    if not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean"):
        sys.exit(f"{where}: {value!r} is no {kind}")
    if "enum" in schema and value not in schema["enum"]:
        sys.exit(f"{where}: {value!r} is none of {schema['enum']}")
    if kind == "array":
        for i, item in enumerate(value):
            check(schema["items"], item, f"{where}[{i}]")
    if kind == "object":
        for name in schema.get("required", []):
            if name not in value:
                sys.exit(f"{where}: no {name}")
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", True))
            if inner is False:
                sys.exit(f"{where}: nobody said that there is {name}")
            if inner is not True:
                check(inner, item, f"{where}.{name}")


def name_of(item):
    if "id" in item:
        return str(item["id"])
    return (item.get("window") or item.get("record", {}).get("plan") or item)["name"]


def names(resource):
    _, answer = get(f"/api/v1/{resource}")
    items = answer.get(resource, [])
    return [name_of(item) for item in items]


status, document = get("/api/v1/openapi.json")
assert status == 200 and document["openapi"].startswith("3."), status
answers = 0
for path, methods in document["paths"].items():
    if set(methods) != {"get"}:
        sys.exit(f"{path}: {set(methods)}: nothing can be changed over HTTP")
    resource = path.split("/")[3]
    responses = methods["get"]["responses"]
    asked = [path]
    if "{name}" in path:
        asked = [path.replace("{name}", name) for name in names(resource)[:5] + ["there-is-none"]]
    else:
        asked += [f"{path}?limit=1"] * any(p["name"] == "limit" for p in methods["get"]["parameters"])
        asked += [f"{path}?there-is-none=1"]
    for url in asked:
        status, answer = get(url)
        expected = 200 if "there-is-none" not in url else 404 if "{name}" in path else 400
        if status != expected:
            sys.exit(f"{url}: {status}, not {expected}")
        said = responses["200" if status == 200 else "default"]
        check(said["content"]["application/json"]["schema"], answer, url)
        answers += 1
print(f"{answers} answers fit")
