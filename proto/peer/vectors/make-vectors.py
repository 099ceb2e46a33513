#!/usr/bin/env python3
"""Makes the golden vectors from peer.md, with nothing of the codec: python3 make-vectors.py [--check]

Bytes are written as pieces: hex, or `hex*count` for a repeated one. --check compares with the files instead.
"""
import hashlib
import hmac
import json
import struct
import sys
from pathlib import Path

PAGE = 4096
TYPES = {
    "HELLO": 0x01, "PROOF": 0x02, "WELCOME": 0x03, "ERROR": 0x04, "GOODBYE": 0x05, "PUTPAGE": 0x10, "ACK": 0x11,
    "GETPAGE": 0x12, "PAGES": 0x13, "INVALIDATE": 0x14, "LIST": 0x15, "LISTING": 0x16, "PING": 0x17, "PONG": 0x18,
}
MASK = 2**64 - 1
P1, P2, P3, P4, P5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
                      0x27D4EB2F165667C5)


def rotl(x, r):
    return ((x << r) | (x >> (64 - r))) & MASK


def lane_round(acc, lane):
    return rotl((acc + lane * P2) & MASK, 31) * P1 & MASK


def page_checksum(page, page_id):
    """XXH64 of whole 32-byte stripes, from its specification; halves XORed."""
    acc = [(page_id + P1 + P2) & MASK, (page_id + P2) & MASK, page_id, (page_id - P1) & MASK]
    for lanes in struct.iter_unpack("<4Q", page):
        acc = [lane_round(a, lane) for a, lane in zip(acc, lanes)]
    h = sum(rotl(a, r) for a, r in zip(acc, (1, 7, 12, 18))) & MASK
    for a in acc:
        h = ((h ^ lane_round(0, a)) * P1 + P4) & MASK
    h = (h + len(page)) & MASK
    h = (h ^ (h >> 33)) * P2 & MASK
    h = (h ^ (h >> 29)) * P3 & MASK
    h ^= h >> 32
    return (h >> 32) ^ (h & 0xFFFFFFFF)


def fill(byte, count=PAGE):
    return f"{byte:02x}*{count}"


def unpack(pieces):
    out = b""
    for piece in pieces:
        digits, _, count = piece.partition("*")
        out += bytes.fromhex(digits) * int(count or 1)
    return out


def header(kind, count=0, body=0, seq=0, aux=0, flags=0):
    number = kind if isinstance(kind, int) else TYPES[kind]
    return struct.pack("<BBHIII", number, flags, count, body, seq, aux).hex()


def meta(page_id, slot=0, checksum=0, status=0):
    return {"pageId": page_id, "slot": slot, "checksum": checksum, "status": status}


def meta_hex(m):
    return struct.pack("<QQII", m["pageId"], m["slot"], m["checksum"], m["status"]).hex()


def ids_hex(ids):
    return [struct.pack("<Q", i).hex() for i in ids]


def capacity(free, limit, used):
    return {"free": free, "limit": limit, "used": used}


def capacity_hex(c):
    return struct.pack("<IIII", c["free"], c["limit"], c["used"], 0).hex()


def hello(name, **with_fields):
    fields = {"role": 1, "keyed": False, "pagesPerFrame": 64, "epoch": 0, "name": name,
              "identity": bytes(range(16)).hex(), "nonce": bytes(range(0x40, 0x60)).hex()}
    fields.update(with_fields)
    return fields


def hello_bytes(h, magic=b"nswapage", version=1, keyed=None, length=None, raw=None):
    raw = h["name"].encode() if raw is None else raw
    body = struct.pack("<8sHBBHBB", magic, version, h["role"], int(h["keyed"]) if keyed is None else keyed,
                       h["pagesPerFrame"], len(raw) if length is None else length, 0)
    body += bytes.fromhex(h["identity"]) + bytes.fromhex(h["nonce"]) + struct.pack("<I20x", h["epoch"])
    body += raw.ljust(64, b"\0")
    assert len(body) == 152
    return body


def vector(name, kind, pieces, count=0, seq=0, aux=0, **fields):
    body = len(unpack(pieces))
    frame = {"type": kind, "count": count, "bodyBytes": body, "seq": seq, "aux": aux, **fields}
    return {"name": name, "bytes": [header(kind, count, body, seq, aux), *pieces], "frame": frame}


def put_page(name, seq, metas, pages):
    for m, page in zip(metas, pages):
        m["checksum"] = page_checksum(unpack([page]), m["pageId"])
    return vector(name, "PUTPAGE", [*map(meta_hex, metas), *pages], len(metas), seq, metas=metas, pages=pages)


def pages_answer(name, seq, metas, pages):
    found = iter(pages)
    for m in metas:
        if m["status"] == 0:
            m["checksum"] = page_checksum(unpack([next(found)]), m["pageId"])
    return vector(name, "PAGES", [*map(meta_hex, metas), *pages], len(metas), seq, metas=metas, pages=pages)


def ack(name, cap, entries):
    packed = [struct.pack("<IHH", e["seq"], e["accepted"], e["status"]).hex() for e in entries]
    return vector(name, "ACK", [capacity_hex(cap), *packed], len(entries), capacity=cap, entries=entries)


def entry(seq, accepted, status=0):
    return {"seq": seq, "accepted": accepted, "status": status}


def frames():
    big = 2**53 - 1
    count_up = "000102030405060708090a0b0c0d0e0f*256"
    client = hello("client-1", epoch=7)
    server = hello("Speicher-ä", role=2, keyed=True, pagesPerFrame=1, epoch=2**32 - 1, identity="ff" * 16)
    out = [
        vector("HELLO of a client without a key", "HELLO", [hello_bytes(client).hex()], hello=client),
        vector("HELLO of a memory server with a key", "HELLO", [hello_bytes(server).hex()], hello=server),
        vector("HELLO with the longest name", "HELLO", [hello_bytes(hello("n" * 63)).hex()], hello=hello("n" * 63)),
        vector("PROOF", "PROOF", [bytes(range(0x80, 0xA0)).hex()], proof=bytes(range(0x80, 0xA0)).hex()),
    ]
    for kind, seq in (("WELCOME", 0), ("PONG", 0x89ABCDEF)):
        cap = capacity(1000, 262144, 261144)
        out.append(vector(kind, kind, [capacity_hex(cap)], seq=seq, capacity=cap))
    text = "HELLO: protocol version 2, accepted is 1 – sorry"
    out += [
        vector("ERROR with a text", "ERROR", [text.encode().hex()], aux=2, text=text),
        vector("ERROR without a text", "ERROR", [], aux=10, text=""),
        vector("ERROR with the longest text", "ERROR", ["78*512"], aux=1, text="x" * 512),
        vector("GOODBYE", "GOODBYE", []),
        put_page("PUTPAGE of one page", 1, [meta(5, 17)], [fill(0xA5)]),
        put_page("PUTPAGE of three pages, seq at its end", 2**32 - 1, [meta(0, 0), meta(big, big), meta(2**32, 2**31)],
                 [fill(0), count_up, fill(0xFF)]),
        put_page("PUTPAGE of as many pages as there may be", 9, [meta(100 + i, i) for i in range(64)],
                 [fill(i) for i in range(64)]),
        ack("ACK of one PUTPAGE", capacity(9, 10, 1), [entry(1, 1)]),
        ack("ACK of three, one FULL and one FULL at once", capacity(0, 2**32 - 1, 2**32 - 1),
            [entry(2**32 - 1, 64), entry(0, 3, 1), entry(1, 0, 1)]),
        ack("ACK of as many as there may be", capacity(1, 2, 3), [entry(i, 1) for i in range(128)]),
    ]
    for ids in ([1], [0, big, 2**32, 2**32 - 1], list(range(7, 71))):
        out.append(vector(f"GETPAGE of {len(ids)}", "GETPAGE", ids_hex(ids), len(ids), 3, pageIds=ids))
    for ids in ([1], [big, 0], list(range(128))):
        out.append(vector(f"INVALIDATE of {len(ids)}", "INVALIDATE", ids_hex(ids), len(ids), pageIds=ids))
    out += [
        pages_answer("PAGES of one", 3, [meta(1, 2)], [count_up]),
        pages_answer("PAGES with none found", 4, [meta(1, 0, 0, 1), meta(2, 0, 0, 1)], []),
        pages_answer("PAGES with gaps at the front, in the middle and at the end", 5,
                     [meta(1, 0, 0, 1), meta(big, 3), meta(3, 0, 0, 1), meta(4, 4), meta(5, 5), meta(6, 0, 0, 1)],
                     [fill(1), fill(2), count_up]),
        vector("LIST from the start", "LIST", []),
        vector("LIST from a cursor", "LIST", [], aux=65536),
    ]
    metas = [meta(1, 2, 0xDEADBEEF), meta(big, big, 2**32 - 1)]
    out += [
        vector("LISTING that goes on", "LISTING", [*map(meta_hex, metas)], 2, aux=65536, metas=metas),
        vector("LISTING that is empty and goes on", "LISTING", [], aux=1, metas=[]),
        vector("LISTING that is empty and the last", "LISTING", [], aux=0xFFFFFFFF, metas=[]),
        vector("PING", "PING", [], seq=0x89ABCDEF),
    ]
    assert {v["frame"]["type"] for v in out} == set(TYPES)
    return out


def bad_frames():
    one, ok = "00*24", fill(7)

    def bad(name, message, *pieces, error="PROTOCOL"):
        return {"name": name, "bytes": [*pieces], "error": error, "message": message}

    out = [bad(f"type {n:#04x}", "unknown frame type", header(n)) for n in (0, 6, 0x0F, 0x19, 0x20, 0x30, 0x80, 0xFF)]
    bodies = {"HELLO": 152, "PROOF": 32, "WELCOME": 16, "ERROR": 0, "GOODBYE": 0, "PUTPAGE": 4120, "ACK": 24,
              "GETPAGE": 8, "PAGES": 24, "INVALIDATE": 8, "LIST": 0, "LISTING": 24, "PING": 0, "PONG": 16}
    counted = {"PUTPAGE": (1, 64), "ACK": (1, 128), "GETPAGE": (1, 64), "PAGES": (1, 64), "INVALIDATE": (1, 128),
               "LISTING": (0, 64)}
    for kind, body in bodies.items():
        low, high = counted.get(kind, (0, 0))
        first = 1 if kind in counted else 0
        for flags in (1, 0x80):
            out.append(bad(f"{kind} with flags {flags}", "unknown flags", header(kind, first, body, flags=flags)))
        for count in ([low - 1] if low else []) + [high + 1, 0xFFFF]:
            out.append(bad(f"{kind} with a count of {count}", "accepted is", header(kind, count, body)))
        wrong = {body - 1, body + 1, 2**32 - 1} - {-1} if kind != "ERROR" else {513, 2**32 - 1}
        for length in sorted(wrong):
            out.append(bad(f"{kind} with a body of {length}", "does not fit", header(kind, first, length)))
    out += [
        bad("PUTPAGE without its page", "does not fit", header("PUTPAGE", 1, 24)),
        bad("PUTPAGE with a page too many", "does not fit", header("PUTPAGE", 1, 24 + 2 * PAGE)),
        bad("PAGES with more pages than entries", "does not fit", header("PAGES", 1, 24 + 2 * PAGE)),
        bad("PAGES: OK without its page", "pages announced", header("PAGES", 1, 24), one),
        bad("PAGES: MISSING with a page", "pages announced", header("PAGES", 1, 24 + PAGE),
            meta_hex(meta(1, 0, 0, 1)), ok),
        bad("PAGES of an unknown status", "unknown status 2", header("PAGES", 1, 24), meta_hex(meta(1, 0, 0, 2))),
        bad("PAGES of the status 2^32 - 1", "unknown status", header("PAGES", 1, 24),
            meta_hex(meta(1, 0, 0, 2**32 - 1))),
        bad("ACK of an unknown status", "unknown status 2", header("ACK", 1, 24), "00*16", "0100000001000200"),
    ]
    wide = 2**53
    for kind, rest in (("PUTPAGE", PAGE), ("PAGES", PAGE), ("LISTING", 0)):
        out.append(bad(f"{kind} of the page id 2^53", "page id of 2^53", header(kind, 1, 24 + rest),
                       meta_hex(meta(wide))))
        out.append(bad(f"{kind} of the slot 2^53", "slot of 2^53", header(kind, 1, 24 + rest), meta_hex(meta(1, wide))))
    for kind in ("GETPAGE", "INVALIDATE"):
        out.append(bad(f"{kind} of the page id 2^64 - 1, in the second place", "page id of 2^53",
                       header(kind, 2, 16), *ids_hex([1, 2**64 - 1])))
    return out


def bad_hellos():
    plain = hello("x")

    def bad(name, message, error="PROTOCOL", h=plain, **wrong):
        return {"name": name, "body": hello_bytes(h, **wrong).hex(), "error": error, "message": message}

    return [
        bad("wrong magic", "magic", magic=b"nswapagE"),
        bad("version 0", "version 0", "VERSION", version=0),
        bad("version 2", "version 2, accepted is 1", "VERSION", version=2),
        bad("role 0", "role 0", h=hello("x", role=0)),
        bad("role 4", "role 4", h=hello("x", role=4)),
        bad("keyed 2", "keyed is 2", keyed=2),
        bad("no pages a frame", "0 pages a frame", h=hello("x", pagesPerFrame=0)),
        bad("65 pages a frame", "65 pages a frame", h=hello("x", pagesPerFrame=65)),
        bad("name of 0 bytes", "name of 0 bytes", length=0),
        bad("name of 64 bytes", "name of 64 bytes", length=64, raw=b"n" * 64),
        bad("name of 255 bytes", "name of 255 bytes", length=255),
        bad("name cut inside a character", "not UTF-8", raw="ä".encode()[:1]),
        bad("name that is Latin-1", "not UTF-8", raw="Jürgen".encode("latin-1")),
        bad("name with an overlong encoding", "not UTF-8", raw=b"\xc0\xaf"),
        bad("name with a surrogate", "not UTF-8", raw=b"\xed\xa0\x80"),
        bad("name that clears the screen", "control characters", raw=b"\x1b[2J"),
        bad("name with a line end", "control characters", raw=b"a\nb"),
        bad("name with a zero", "control characters", raw=b"a\0b"),
        bad("name with a control character of Latin-1", "control characters", raw="a\u009bb".encode()),
    ]


def proofs():
    out = []
    for key, names in ((bytes(range(32)), ("c", "s")), (b"sixteen bytes ok", ("client-1", "Speicher-ä"))):
        connector = hello_bytes(hello(names[0], keyed=True, epoch=3))
        acceptor = hello_bytes(hello(names[1], role=2, keyed=True, identity="ab" * 16, nonce="cd" * 32))

        def proof(side):
            text = b""
            for part in (f"nswap page protocol 1: {side}".encode(), connector, acceptor):
                text += struct.pack(">I", len(part)) + part
            return hmac.new(key, text, hashlib.sha256).hexdigest()

        out.append({"name": f"proofs of {names[0]} and {names[1]}", "key": key.hex(), "connectorHello": connector.hex(),
                    "acceptorHello": acceptor.hex(), "connectorProof": proof("connector"),
                    "acceptorProof": proof("acceptor")})
    return out


def main():
    here = Path(__file__).parent
    files = {"frames": frames(), "bad-frames": bad_frames(), "bad-hellos": bad_hellos(), "proofs": proofs()}
    stale = []
    for name, vectors in files.items():
        text = json.dumps(vectors, ensure_ascii=False, indent=1) + "\n"
        path = here / f"{name}.json"
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
    if stale:
        sys.exit(f"not what make-vectors.py makes: {', '.join(stale)}; run it without --check")


main()
