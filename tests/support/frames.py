"""AWS event-stream frames to and from lines that people read: "event NAME JSON" or "exception NAME JSON", one for each frame.
Written from the specification, without any code of weir's: what the tests hold weir's own frames against."""
import struct
import zlib


def frame(headers, payload):
    head = b"".join(
        struct.pack(">B", len(name)) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
        for name, value in headers
    )
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return body + struct.pack(">I", zlib.crc32(body))


def message(kind, name, payload):
    what = ":event-type" if kind == "event" else ":exception-type"
    return frame([(what, name), (":content-type", "application/json"), (":message-type", kind)], payload)


def read(data):
    """(kind, name, payload) of each frame; a frame that is not whole or whose checksums are wrong is a ValueError."""
    at = 0
    while at < len(data):
        if len(data) - at < 16:
            raise ValueError("cut inside a prelude")
        total, head_n, crc = struct.unpack(">III", data[at : at + 12])
        whole = data[at : at + total]
        if len(whole) < total or zlib.crc32(whole[:8]) != crc or zlib.crc32(whole[:-4]) != struct.unpack(">I", whole[-4:])[0]:
            raise ValueError(f"frame at {at} is cut or its checksum is wrong")
        headers, i, head = {}, 0, whole[12 : 12 + head_n]
        while i < len(head):
            name = head[i + 1 : i + 1 + head[i]].decode()
            i += 1 + head[i]
            n = struct.unpack(">H", head[i + 1 : i + 3])[0]
            headers[name] = head[i + 3 : i + 3 + n].decode()
            i += 3 + n
        name = headers.get(":event-type") or headers.get(":exception-type") or headers.get(":error-code", "")
        yield headers.get(":message-type"), name, whole[12 + head_n : -4]
        at += total


def encode(text):
    lines = [line.split(" ", 2) for line in text.splitlines() if line]
    return b"".join(message(kind, name, payload.encode()) for kind, name, payload in lines)


def decode(data):
    return "".join(f"{kind} {name} {payload.decode()}\n" for kind, name, payload in read(data))
