#!/usr/bin/env python3
"""Holds the dependency tree to deny.toml: licences, sources and bans, from `cargo metadata` alone."""

import json
import re
import subprocess
import sys
import tomllib


def alternatives(expression):
    """The licences of an SPDX expression as a list of alternatives, each a set that must be allowed whole."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))
    position = 0

    def peek():
        return tokens[position] if position < len(tokens) else None

    def take():
        nonlocal position
        position += 1
        return tokens[position - 1]

    def atom():
        if peek() == "(":
            take()
            inner = either()
            take()
            return inner
        name = take()
        if peek() == "WITH":
            take()
            name = f"{name} WITH {take()}"
        return [{name}]

    def both():
        left = atom()
        while peek() == "AND":
            take()
            right = atom()
            left = [a | b for a in left for b in right]
        return left

    def either():
        left = both()
        while peek() == "OR":
            take()
            left = left + both()
        return left

    return either()


def problems(metadata, rules):
    allowed = set(rules["licenses"]["allow"])
    banned = {entry["crate"]: entry["reason"] for entry in rules["bans"]["deny"]}
    for package in metadata["packages"]:
        name = f"{package['name']} {package['version']}"
        source = package["source"]
        if package["name"] in banned:
            yield f"{name} is banned: {banned[package['name']]}"
        if source is None:
            continue
        if not source.startswith("registry+") and not source.startswith("sparse+"):
            yield f"{name} comes from {source}, not from a registry"
        licence = package["license"]
        if not licence:
            yield f"{name} names no licence"
        elif not any(needed <= allowed for needed in alternatives(licence)):
            yield f"{name} is licensed {licence}, which deny.toml does not allow"


def main():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features",
               "--filter-platform", "x86_64-unknown-linux-gnu"]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    with open("deny.toml", "rb") as file:
        rules = tomllib.load(file)
    resolved = {node["id"] for node in metadata["resolve"]["nodes"]}
    metadata["packages"] = [package for package in metadata["packages"] if package["id"] in resolved]
    found = list(problems(metadata, rules))
    for problem in found:
        print(problem, file=sys.stderr)
    print(f"deny: {len(metadata['packages'])} packages, {len(found)} problems")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
