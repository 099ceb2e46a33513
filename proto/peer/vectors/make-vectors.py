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
    "GROUPS": 0x30, "SERVERS": 0x31, "COMPOSE": 0x32, "REBUILD": 0x33, "RECOVER": 0x34, "RESULT": 0x35,
    "MISMATCH": 0x36,
}
OWN_STORE = 0xFFFF
MASK = 2**64 - 1
P32 = 0x9E3779B1
P1, P2, P3, P4 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")


def secret_of(seed):
    words = struct.unpack("<24Q", SECRET)
    return struct.pack("<24Q", *((w - seed if i % 2 else w + seed) & MASK for i, w in enumerate(words)))


def add_stripe(acc, stripe, secret):
    for i, (word, key) in enumerate(zip(struct.unpack("<8Q", stripe), struct.unpack("<8Q", secret))):
        key ^= word
        acc[i ^ 1] = (acc[i ^ 1] + word) & MASK
        acc[i] = (acc[i] + (key & 0xFFFFFFFF) * (key >> 32)) & MASK


def page_checksum(page, page_id):
    """XXH3 (64 bits) of whole blocks of 1024 bytes, from its specification; halves XORed."""
    secret = secret_of(page_id)
    acc = [0xC2B2AE3D, P1, P2, P3, P4, 0x85EBCA77, 0x27D4EB2F165667C5, P32]
    stripes = [page[at:at + 64] for at in range(0, len(page), 64)]
    for i, stripe in enumerate(stripes[:-1]):
        if i > 0 and i % 16 == 0:
            acc = [((a ^ (a >> 47) ^ k) * P32) & MASK for a, k in zip(acc, struct.unpack("<8Q", secret[128:]))]
        add_stripe(acc, stripe, secret[i % 16 * 8:][:64])
    add_stripe(acc, stripes[-1], secret[121:][:64])
    h = len(page) * P1
    for i, (k, l) in enumerate(struct.iter_unpack("<2Q", secret[11:75])):
        product = (acc[2 * i] ^ k) * (acc[2 * i + 1] ^ l)
        h += (product & MASK) ^ (product >> 64)
    h &= MASK
    h = (h ^ (h >> 37)) * 0x165667919E3779F9 & MASK
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


def hello_bytes(h, magic=b"nswapage", version=2, keyed=None, length=None, raw=None):
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


def member(page_id, server, checksum=0):
    return {"pageId": page_id, "checksum": checksum, "server": server}


def source(page_id, server=OWN_STORE):
    return {"pageId": page_id, "server": server}


def lost_page(page_id, slot, checksum, sources, new_page_id=0, target=0):
    return {"pageId": page_id, "slot": slot, "newPageId": new_page_id, "checksum": checksum, "target": target,
            "sources": sources}


def result(seq, index, status=0, checksum=0):
    return {"seq": seq, "index": index, "status": status, "checksum": checksum}


def mismatch(group_id, page_id, handle):
    return {"groupId": group_id, "pageId": page_id, "handle": handle}


def group_hex(g, members=None, sources=None, rest="00"):
    """A descriptor; of a COMPOSE with its sources. Counts may be told otherwise; `rest` fills what is reserved."""
    gap = lambda count: (bytes.fromhex(rest) * count).hex()
    packed = (struct.pack("<QIH", m["pageId"], m["checksum"], m["server"]).hex() for m in g["members"])
    entries = "".join(text + gap(2) for text in packed)
    listed = g.get("sources")
    count = gap(2) if listed is None else struct.pack("<H", len(listed) if sources is None else sources).hex()
    head = struct.pack("<QH", g["groupId"], len(g["members"]) if members is None else members).hex() + count
    head += struct.pack("<I", g["handle"]).hex()
    return head + entries + gap(128 - len(entries) // 2) + ("" if listed is None else sources_hex(listed, 16, gap))


def sources_hex(sources, places, gap):
    return "".join(struct.pack("<QH", s["pageId"], s["server"]).hex() + gap(6) for s in sources) + \
        gap(16 * (places - len(sources)))


def lost_hex(p, sources=None, rest="00", recover=False):
    gap = lambda count: (bytes.fromhex(rest) * count).hex()
    new = gap(8) if recover else struct.pack("<Q", p["newPageId"]).hex()
    target = gap(2) if recover else struct.pack("<H", p["target"]).hex()
    count = struct.pack("<H", len(p["sources"]) if sources is None else sources).hex()
    return struct.pack("<QQ", p["pageId"], p["slot"]).hex() + new + struct.pack("<I", p["checksum"]).hex() + target + \
        count + gap(8) + sources_hex(p["sources"], 8, gap)


def group_frames():
    big = 2**53 - 1
    one = {"groupId": 9, "handle": 1, "members": [member(1, 0, 0xDEADBEEF)]}
    full = {"groupId": big, "handle": 2**32 - 1,
            "members": [member(big - 1 - i, 4095 - i, 2**32 - 1 - i) for i in range(8)]}
    union = {"groupId": 2**32, "handle": 0, "members": [member(i, i) for i in range(3)],
             "sources": [source(9), source(2, 7)]}
    most = {**full, "sources": [source(i, i) for i in range(15)] + [source(big)]}
    lost = lost_page(5, 17, 0xDEADBEEF, [source(9), source(6, 2)], 50, 3)
    last = lost_page(big, big, 2**32 - 1, [source(big, 4095)] * 8, big, 4095)

    def several(name, kind, key, entries, pack, seq=0, **more):
        return vector(name, kind, [pack(e) for e in entries], len(entries), seq, **{key: entries}, **more)

    def servers(name, entries, rest="00"):
        return several(name, "SERVERS", "servers", entries,
                       lambda e: struct.pack("<H", e["index"]).hex() + rest * 6 + e["identity"])

    def results(name, cap, entries, rest="00"):
        packed = [struct.pack("<IHHI", *e.values()).hex() + rest * 4 for e in entries]
        return vector(name, "RESULT", [capacity_hex(cap), *packed], len(entries), capacity=cap, results=entries)

    def mismatches(name, entries, rest="00"):
        packed = [struct.pack("<QQI", *e.values()).hex() + rest * 4 for e in entries]
        return vector(name, "MISMATCH", packed, len(entries), mismatches=entries)

    def read_only(v):
        return {**v, "receivedOnly": True}

    ff = {"rest": "ff"}
    asked = [{**p, "newPageId": 0, "target": 0} for p in (lost, last)]
    heads = [{"index": 0, "identity": "ab" * 16}, {"index": 4095, "identity": bytes(range(16)).hex()}]
    told = [result(7, 0), result(7, 1, 1), result(6, 7, 2), result(2**32 - 1, 15, 3), result(0, 2, 4),
            result(8, 0, 0, 2**32 - 1)]
    return [
        several("GROUPS of one member", "GROUPS", "groups", [one], group_hex),
        several("GROUPS of two, one full", "GROUPS", "groups", [full, one], group_hex),
        several("GROUPS of as many as there may be", "GROUPS", "groups",
                [{**one, "groupId": 100 + i} for i in range(16)], group_hex),
        servers("SERVERS", heads),
        servers("SERVERS of as many as there may be", [{"index": i, "identity": f"{i:02x}" * 16} for i in range(64)]),
        several("COMPOSE of one", "COMPOSE", "composes", [union], group_hex, 3),
        several("COMPOSE of two, one with all its places taken", "COMPOSE", "composes", [most, union], group_hex, 4),
        several("COMPOSE of as many as there may be", "COMPOSE", "composes",
                [{**union, "groupId": 100 + i} for i in range(8)], group_hex, 5),
        several("REBUILD of two, one with all its places taken", "REBUILD", "lost", [lost, last], lost_hex, 2**32 - 1),
        several("REBUILD of as many as there may be", "REBUILD", "lost", [lost] * 16, lost_hex, 6),
        several("RECOVER of two, one with all its places taken", "RECOVER", "lost", asked, lost_hex, 7),
        results("RESULT of each status", capacity(9, 10, 1), told),
        results("RESULT of as many as there may be", capacity(1, 2, 3), [result(i, 1) for i in range(64)]),
        mismatches("MISMATCH of a page and of a parity page", [mismatch(9, 5, 7), mismatch(big, big, 2**32 - 1)]),
        mismatches("MISMATCH of as many as there may be", [mismatch(100 + i, i, i) for i in range(64)]),
        read_only(mismatches("MISMATCH whose reserved bytes are not 0", [mismatch(9, 5, 7)], "ff")),
        read_only(several("GROUPS whose reserved bytes and unused places are not 0", "GROUPS", "groups", [one, full],
                          lambda g: group_hex(g, **ff))),
        read_only(servers("SERVERS whose reserved bytes are not 0", heads, "ff")),
        read_only(several("COMPOSE whose reserved bytes and unused places are not 0", "COMPOSE", "composes", [union],
                          lambda g: group_hex(g, **ff), 3)),
        read_only(several("REBUILD whose reserved bytes and unused places are not 0", "REBUILD", "lost", [lost],
                          lambda p: lost_hex(p, **ff), 3)),
        read_only(several("RECOVER whose reserved bytes and unused places are not 0", "RECOVER", "lost",
                          [{**asked[0], "newPageId": None, "target": None}],
                          lambda p: lost_hex(p, **ff, recover=True), 3)),
        read_only(results("RESULT whose reserved bytes are not 0", capacity(1, 2, 3), told, "ff")),
    ]


def bad_group_frames(bad):
    wide, big = 2**53, 2**53 - 1

    def group(*members, group_id=9, **more):
        return {"groupId": group_id, "handle": 0, "members": list(members), **more}

    good = group(member(1, 0), member(2, 1))
    wrong = [
        ("without members", "0 members, accepted is 1 to 8", group(), {}),
        ("of 9 members", "9 members, accepted is 1 to 8", good, {"members": 9}),
        ("of 65535 members", "65535 members", good, {"members": 65535}),
        ("of the id 2^53", "page id of 2^53", group(member(1, 0), group_id=wide), {}),
        ("with a member of the id 2^53", "page id of 2^53", group(member(1, 0), member(wide, 1)), {}),
        ("with a member of the id 2^64 - 1", "page id of 2^53", group(member(2**64 - 1, 0)), {}),
        ("with two members on one server", "two members of a group on server 4",
         group(member(1, 4), member(2, 0), member(3, 4)), {}),
        ("with the last two of eight members on one server", "on server 4095",
         group(*(member(i, i) for i in range(6)), member(6, 4095), member(7, 4095)), {}),
        ("with a page twice", "page 1 is a member twice", group(member(1, 4), member(1, 5)), {}),
        ("with the page 2^53 - 1 twice", f"page {big} is a member twice",
         group(member(big, 4), member(0, 6), member(big, 5)), {}),
        ("that is its own member", "page 9 is a member of its own group", group(member(9, 4)), {}),
        ("with a member on the server 4096", "index 4096 of a server", group(member(1, 4096)), {}),
        ("with a member in the receiver's own store", "index 65535 of a server", group(member(1, OWN_STORE)), {}),
    ]
    out = []
    for name, message, g, told in wrong:
        out.append(bad(f"GROUPS: a group {name}", message, header("GROUPS", 1, 144), group_hex(g, **told)))
        composed = {**g, "sources": [source(3)]}
        out.append(bad(f"COMPOSE: a group {name}", message, header("COMPOSE", 1, 400), group_hex(composed, **told)))
    out.append(bad("GROUPS whose second group is broken", "0 members", header("GROUPS", 2, 288), group_hex(good),
                   group_hex(group())))
    for count in (0, 17, 65535):
        out.append(bad(f"COMPOSE with {count} sources", f"{count} sources, accepted is 1 to 16",
                       header("COMPOSE", 1, 400), group_hex({**good, "sources": [source(3)]}, sources=count)))
    out.append(bad("COMPOSE with a source of the page id 2^53", "page id of 2^53", header("COMPOSE", 1, 400),
                   group_hex({**good, "sources": [source(3)] * 15 + [source(wide)]})))
    out.append(bad("COMPOSE with a source on the server 4096", "index 4096 of a server", header("COMPOSE", 1, 400),
                   group_hex({**good, "sources": [source(3), source(4, 4096)]})))
    out.append(bad("COMPOSE whose second entry is broken", "0 sources", header("COMPOSE", 2, 800),
                   group_hex({**good, "sources": [source(3)]}), group_hex({**good, "sources": []})))
    for kind in ("REBUILD", "RECOVER"):
        def lost(name, message, *entries, **told):
            packed = [lost_hex(e, **told) for e in entries]
            out.append(bad(f"{kind} {name}", message, header(kind, len(entries), 168 * len(entries)), *packed))

        fine = lost_page(1, 2, 3, [source(4)], 5, 6)
        for count in (0, 9, 65535):
            lost(f"with {count} sources", f"{count} sources, accepted is 1 to 8", fine, sources=count)
        lost("of the page id 2^53", "page id of 2^53", {**fine, "pageId": wide})
        lost("of the slot 2^53", "slot of 2^53", {**fine, "slot": wide})
        lost("with a source of the page id 2^53", "page id of 2^53",
             {**fine, "sources": [source(1)] * 7 + [source(wide)]})
        lost("with a source on the server 65534", "index 65534 of a server", {**fine, "sources": [source(1, 65534)]})
        lost("whose second entry is broken", "slot of 2^53", fine, {**fine, "slot": wide})
        if kind == "REBUILD":
            lost("to the new page id 2^53", "new page id of 2^53", {**fine, "newPageId": wide})
            lost("to the receiver's own store", "index 65535 of a server", {**fine, "target": OWN_STORE})
    out.append(bad("SERVERS that names the receiver's own store", "index 65535 of a server", header("SERVERS", 1, 24),
                   "ffff000000000000", "ab*16"))
    for what, e in (("group", mismatch(wide, 1, 0)), ("page", mismatch(1, 2**64 - 1, 0))):
        out.append(bad(f"MISMATCH of a {what} id of 2^53 or more", f"{what} id of 2^53", header("MISMATCH", 1, 24),
                       struct.pack("<QQII", *e.values(), 0).hex()))
    for status in (5, 65535):
        out.append(bad(f"RESULT of the status {status}", f"unknown status {status}", header("RESULT", 1, 32), "00*16",
                       struct.pack("<IHHII", 1, 0, status, 0, 0).hex()))
    return out


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
    text = "HELLO: protocol version 1, accepted is 2 – sorry"
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
        *group_frames(),
    ]
    assert {v["frame"]["type"] for v in out} == set(TYPES)
    return out


def bad_frames():
    one, ok = "00*24", fill(7)

    def bad(name, message, *pieces, error="PROTOCOL"):
        return {"name": name, "bytes": [*pieces], "error": error, "message": message}

    unknown = (0, 6, 0x0F, 0x19, 0x20, 0x2F, 0x37, 0x3F, 0x80, 0xFF)
    out = [bad(f"type {n:#04x}", "unknown frame type", header(n)) for n in unknown]
    bodies = {"HELLO": 152, "PROOF": 32, "WELCOME": 16, "ERROR": 0, "GOODBYE": 0, "PUTPAGE": 4120, "ACK": 24,
              "GETPAGE": 8, "PAGES": 24, "INVALIDATE": 8, "LIST": 0, "LISTING": 24, "PING": 0, "PONG": 16,
              "GROUPS": 144, "SERVERS": 24, "COMPOSE": 400, "REBUILD": 168, "RECOVER": 168, "RESULT": 32,
              "MISMATCH": 24}
    counted = {"PUTPAGE": (1, 64), "ACK": (1, 128), "GETPAGE": (1, 64), "PAGES": (1, 64), "INVALIDATE": (1, 128),
               "LISTING": (0, 64), "GROUPS": (1, 16), "SERVERS": (1, 64), "COMPOSE": (1, 8), "REBUILD": (1, 16),
               "RECOVER": (1, 16), "RESULT": (1, 64), "MISMATCH": (1, 64)}
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
    return out + bad_group_frames(bad)


def bad_hellos():
    plain = hello("x")

    def bad(name, message, error="PROTOCOL", h=plain, **wrong):
        return {"name": name, "body": hello_bytes(h, **wrong).hex(), "error": error, "message": message}

    return [
        bad("wrong magic", "magic", magic=b"nswapagE"),
        bad("version 0", "version 0", "VERSION", version=0),
        bad("version 1", "version 1, accepted is 2", "VERSION", version=1),
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
