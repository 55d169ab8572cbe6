#!/usr/bin/env python3
"""Seeds of the dialect fuzz targets, made from tests/golden: seeds.py FOLDER writes FOLDER/{reader,stream_reader,roundtrip}/…

Their form is hub.h's: a byte each for the client's dialect, the provider's and the variant, then the text."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REQUEST, ANSWER, ERROR = 0, 1, 2  # variants of the reader


def dialects():
    """Numbers by the names that folders of golden cases have."""
    with open(os.path.join(ROOT, "proto/dialect/dialect.h"), encoding="utf-8") as f:
        names = re.search(r"enum dialect_id \{(.*?)\}", f.read(), re.S).group(1)
    numbers = {name.lower(): n for n, name in enumerate(re.findall(r"DIALECT_(\w+)", names))}
    return {**numbers, "openai": numbers["openai_chat"]}


def cases():
    golden, known = os.path.join(ROOT, "tests/golden"), dialects()
    for pair in sorted(os.listdir(golden)):
        client, _, provider = pair.partition("-")
        if client in known and provider in known:
            for name in sorted(os.listdir(os.path.join(golden, pair))):
                yield os.path.join(golden, pair, name), f"{pair}-{name}", known[client], known[provider]


def make(folder):
    def write(target, name, client, provider, variant, path):
        os.makedirs(os.path.join(folder, target), exist_ok=True)
        with open(path, "rb") as f, open(os.path.join(folder, target, name), "wb") as out:
            out.write(bytes([client, provider, variant]) + f.read())

    for case, name, client, provider in cases():
        for file in os.listdir(case):
            path = os.path.join(case, file)
            if file == "request.json":
                write("reader", name, client, provider, REQUEST, path)
                write("roundtrip", name, client, provider, 0, path)
            elif file == "answer.json":
                write("reader", name + "-answer", client, provider, ANSWER, path)
                write("reader", name + "-error", client, provider, ERROR, path)
            elif file.startswith("answer."):
                write("stream_reader", name, client, provider, 6, path)


if __name__ == "__main__":
    make(sys.argv[1])
