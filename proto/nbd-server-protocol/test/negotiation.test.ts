import { describe, expect, test } from "vitest";
import { NbdUsageError } from "../src/index.ts";
import { anExport, Rig, type RigOptions, SIZE } from "./rig.ts";
import * as wire from "./wire.ts";
import {
  clientFlags,
  go,
  infoData,
  join,
  metaData,
  option,
  optionReply,
  text32,
  u16,
  u32,
  u64,
} from "./wire.ts";

const ACK = 1;
const UNSUP = 0x80000001;
const INVALID = 0x80000003;
const TLS_REQD = 0x80000005;
const UNKNOWN = 0x80000006;
const SHUTDOWN = 0x80000007;
const TOO_BIG = 0x80000009;
/** Flags of an export that can do everything, without and with DF. */
const ALL_FLAGS = 0x0d6d;
const ALL_FLAGS_DF = ALL_FLAGS | 0x80;

/** A session that was greeted and has sent its flags. */
function haggling(options: RigOptions = {}, flags = 3): Rig {
  const rig = new Rig(options);
  rig.session.start();
  rig.send(clientFlags(flags));
  rig.sent();
  return rig;
}

/** Answers to `bytes`. */
function ask(rig: Rig, ...pieces: wire.Piece[]): Uint8Array {
  rig.send(...pieces);
  return rig.sent();
}

/** The kinds of all replies in `bytes`, in order. */
function kinds(bytes: Uint8Array): number[] {
  const found: number[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; at += 20 + view.getUint32(at + 16)) found.push(view.getUint32(at + 12));
  return found;
}

const exportInfo = (number: number, flags: number): Uint8Array =>
  optionReply(number, 3, u16(0), u64(SIZE), u16(flags));

describe("greeting and client flags", () => {
  test("the greeting offers fixed newstyle and no zeroes", () => {
    const rig = new Rig();
    rig.session.start();
    expect(rig.sent()).toEqual(join("4e42444d41474943 49484156454f5054 0003"));
  });

  test.each([4, 8, 0x80000000, 0xffffffff])("an unknown client flag (0x%x) ends the session", (flags) => {
    const rig = haggling({}, flags);
    expect(rig.session.state).toBe("closed");
    expect(rig.session.closeReason?.code).toBe("bad-client-flags");
    expect(rig.sent().length).toBe(0);
  });

  test("a client without fixed newstyle may send EXPORT_NAME and nothing else", () => {
    expect(haggling({}, 0).send(option(1, "'swap"))).toBeGreaterThan(0);
    const rig = haggling({}, 0);
    rig.send(option(3));
    expect(rig.session.closeReason?.code).toBe("not-fixed-newstyle");
  });

  test("an option without its magic ends the session", () => {
    const rig = haggling();
    rig.send("'IHAVEOPS", u32(3), u32(0));
    expect(rig.session.closeReason?.code).toBe("bad-option-magic");
  });
});

describe("EXPORT_NAME", () => {
  test("is answered with size and flags, and no zeroes if so agreed", () => {
    const rig = haggling();
    expect(ask(rig, option(1, "'swap"))).toEqual(join(u64(SIZE), u16(ALL_FLAGS)));
    expect(rig.session.state).toBe("transmission");
    expect(rig.session.export?.name).toBe("swap");
  });

  test("is followed by 124 zeroes otherwise", () => {
    const rig = haggling({}, 1);
    expect(ask(rig, option(1, "'swap"))).toEqual(join(u64(SIZE), u16(ALL_FLAGS), new Uint8Array(124)));
  });

  test("the empty name is the only export there is", () => {
    expect(ask(haggling(), option(1)).length).toBe(10);
  });

  test.each([
    ["an unknown name", join("'nothing")],
    ["a name that is not UTF-8", join("ff")],
    ["a name with NUL", join("'swap", "00")],
    ["a name of 4097 bytes", new Uint8Array(4097).fill(0x61)],
    ["a name longer than any option", new Uint8Array(100_000).fill(0x61)],
  ])("%s ends the session without a word", (_what, name) => {
    const rig = haggling();
    expect(ask(rig, option(1, name)).length).toBe(0);
    expect(rig.session.closeReason?.code).toBe("unknown-export");
  });

  test("the largest size is told exactly", () => {
    const rig = haggling({ exports: [anExport({ sizeBytes: Number.MAX_SAFE_INTEGER })] });
    expect(ask(rig, option(1)).subarray(0, 8)).toEqual(join("001fffffffffffff"));
  });
});

describe("GO and INFO", () => {
  test("INFO answers like GO and stays in negotiation", () => {
    const rig = haggling();
    expect(ask(rig, option(6, infoData("swap")))).toEqual(
      join(exportInfo(6, ALL_FLAGS), optionReply(6, ACK)),
    );
    expect(rig.session.state).toBe("negotiating");
    expect(ask(rig, go("swap"))).toEqual(join(exportInfo(7, ALL_FLAGS), optionReply(7, ACK)));
    expect(rig.session.state).toBe("transmission");
  });

  test("name, description and block sizes come when asked for, once each", () => {
    const exports = [anExport({ description: "Swäp" })];
    const answer = ask(haggling({ exports }), go("", 3, 1, 2, 3, 0, 77));
    expect(answer).toEqual(
      join(
        exportInfo(7, ALL_FLAGS),
        optionReply(7, 3, u16(1), "'swap"),
        optionReply(7, 3, u16(2), "'Swäp"),
        optionReply(7, 3, u16(3), u32(1), u32(4096), u32(32 * 1024 * 1024)),
        optionReply(7, ACK),
      ),
    );
  });

  test("an empty description is not sent", () => {
    expect(kinds(ask(haggling(), go("", 2)))).toEqual([3, ACK]);
  });

  test("an unknown export is ERR_UNKNOWN, and the client may go on", () => {
    const rig = haggling();
    expect(kinds(ask(rig, go("nothing")))).toEqual([UNKNOWN]);
    expect(kinds(ask(rig, go("swap")))).toEqual([3, ACK]);
  });

  test("a read-only export does not offer what writes", () => {
    const exports = [anExport({ readOnly: true })];
    expect(ask(haggling({ exports }), go())).toEqual(join(exportInfo(7, 0x050f), optionReply(7, ACK)));
  });

  test("an export that can do nothing has only HAS_FLAGS", () => {
    const no = { canFlush: false, canFua: false, canTrim: false, canWriteZeroes: false };
    const exports = [anExport({ ...no, canFastZero: false, canCache: false, canMultiConn: false })];
    expect(ask(haggling({ exports }), go())).toEqual(join(exportInfo(7, 1), optionReply(7, ACK)));
  });

  test("DF is offered only after structured replies", () => {
    const rig = haggling();
    expect(ask(rig, option(8))).toEqual(optionReply(8, ACK));
    expect(ask(rig, go())).toEqual(join(exportInfo(7, ALL_FLAGS_DF), optionReply(7, ACK)));
  });

  test.each([
    ["no data", join()],
    ["a name length cut short", join("0000")],
    ["a name longer than the data", join(u32(5), "'swap", u16(0))],
    ["no number of requests", join(text32("swap"))],
    ["fewer requests than announced", join(text32("swap"), u16(2), u16(3))],
    ["more data than announced", join(text32("swap"), u16(0), [0])],
    ["a name that is not UTF-8", join(u32(1), "ff", u16(0))],
    ["a name of 4097 bytes", join(u32(4097), new Uint8Array(4097).fill(0x61), u16(0))],
    ["a name length of 2^32 - 1", join(u32(0xffffffff), u16(0))],
  ])("%s is ERR_INVALID, and the client may go on", (_what, data) => {
    const rig = haggling();
    for (const number of [6, 7]) expect(kinds(ask(rig, option(number, data)))).toEqual([INVALID]);
    expect(kinds(ask(rig, go("swap")))).toEqual([3, ACK]);
  });
});

describe("LIST and ABORT", () => {
  test("LIST names every export with its description", () => {
    const exports = [anExport({ description: "one" }), anExport({ name: "b" })];
    const first = optionReply(3, 2, text32("swap"), "'one");
    expect(ask(haggling({ exports }), option(3))).toEqual(
      join(first, optionReply(3, 2, text32("b")), optionReply(3, ACK)),
    );
  });

  test("exports of the application's own that no client could be told were listed all the same", () => {
    const list = [anExport(), anExport({ description: "a\0" })];
    const rig = haggling({ exports: [anExport()], ofItsOwn: { list: () => list, find: () => list[0] } });
    expect(() => rig.send(option(3))).toThrow(NbdUsageError);
    expect(rig.sent().length).toBe(0);
  });

  test("LIST with data is ERR_INVALID", () => {
    expect(kinds(ask(haggling(), option(3, [0])))).toEqual([INVALID]);
  });

  test("ABORT is acknowledged, and ends the session without a reason", () => {
    const rig = haggling();
    expect(ask(rig, option(2))).toEqual(optionReply(2, ACK));
    expect(rig.session.state).toBe("closed");
    expect(rig.closedWith).toEqual({ reason: undefined, pending: [] });
    expect(rig.send(go("swap"))).toBe(0);
  });

  test("names and descriptions of 4096 bytes pass through small reserves", () => {
    const long = "n".repeat(4096);
    const exports = [anExport({ name: long, description: "d".repeat(4096) })];
    const list = join(optionReply(3, 2, text32(long), `'${"d".repeat(4096)}`), optionReply(3, ACK));
    expect(ask(haggling({ exports }), option(3))).toEqual(list);
  });
});

describe("options that are unknown, too long or too many", () => {
  test.each([0, 4, 9999, 0xffffffff])("option %d is ERR_UNSUP, its data is swallowed", (number) => {
    const rig = haggling();
    expect(kinds(ask(rig, option(number, new Uint8Array(1000)), option(3)))).toEqual([UNSUP, 2, ACK]);
  });

  test("EXTENDED_HEADERS is ERR_UNSUP", () => {
    expect(kinds(ask(haggling(), option(11), go("swap")))).toEqual([UNSUP, 3, ACK]);
  });

  test("data beyond the bound is dropped and answered ERR_TOO_BIG", () => {
    const rig = haggling({ limits: { optionBytesMax: 100 } });
    expect(
      kinds(ask(rig, option(7, new Uint8Array(101)), option(99, new Uint8Array(101)), option(3))),
    ).toEqual([TOO_BIG, UNSUP, 2, ACK]);
  });

  test("data of exactly the bound is parsed", () => {
    const rig = haggling({ limits: { optionBytesMax: 10 } });
    expect(kinds(ask(rig, go("swap")))).toEqual([3, ACK]);
  });

  test("data beyond the drain bound ends the session", () => {
    const rig = haggling();
    rig.send("'IHAVEOPT", u32(7), u32(1024 * 1024 + 1));
    expect(rig.session.closeReason?.code).toBe("option-too-long");
  });

  test("a client that asks about each of 400 exports, as qemu-nbd --list does, was cut off after 64 options", () => {
    const names = Array.from({ length: 400 }, (_, index) => `export ${index}`);
    const rig = haggling({ exports: names.map((name) => anExport({ name })) });
    rig.send(option(8), option(3));
    for (const name of names) rig.send(option(6, infoData(name)), option(9, metaData(name)));
    expect(kinds(ask(rig, go("export 399"))).slice(-2)).toEqual([3, ACK]);
  });

  test("more options than the bound end the session", () => {
    const rig = haggling({ limits: { optionsMax: 3 } });
    expect(kinds(ask(rig, option(99), option(99), option(99)))).toEqual([UNSUP, UNSUP, UNSUP]);
    rig.send(option(99));
    expect(rig.session.closeReason?.code).toBe("too-many-options");
  });
});

describe("metadata contexts", () => {
  const context = (number: number, id: number): Uint8Array =>
    optionReply(number, 4, u32(id), "'base:allocation");
  const two = { exports: [anExport(), anExport({ name: "other" })] };

  test.each([9, 10])("option %d before structured replies is ERR_INVALID", (number) => {
    expect(kinds(ask(haggling(), option(number, metaData("swap", "base:allocation"))))).toEqual([INVALID]);
  });

  test("STRUCTURED_REPLY with data is ERR_INVALID and changes nothing", () => {
    const rig = haggling();
    expect(kinds(ask(rig, option(8, [1])))).toEqual([INVALID]);
    expect(ask(rig, go())).toEqual(join(exportInfo(7, ALL_FLAGS), optionReply(7, ACK)));
  });

  test.each([
    ["no query", []],
    ["its namespace", ["base:"]],
    ["its name among others", ["x-a:b", "base:allocation"]],
  ])("LIST finds base:allocation by %s", (_what, queries) => {
    const answer = ask(haggling(), option(8), option(9, metaData("swap", ...queries)));
    expect(answer).toEqual(join(optionReply(8, ACK), context(9, 0), optionReply(9, ACK)));
  });

  test.each([
    ["another namespace", ["x-a:"]],
    ["another leaf", ["base:allocations"]],
  ])("LIST finds nothing by %s", (_what, queries) => {
    const answer = ask(haggling(), option(8), option(9, metaData("swap", ...queries)));
    expect(kinds(answer)).toEqual([ACK, ACK]);
  });

  test("SET selects base:allocation by its name only", () => {
    const rig = haggling();
    const set = (...queries: string[]): Uint8Array => ask(rig, option(10, metaData("swap", ...queries)));
    rig.send(option(8));
    rig.sent();
    expect(set("base:allocation", "base:allocation")).toEqual(join(context(10, 1), optionReply(10, ACK)));
    expect(kinds(set("base:"))).toEqual([ACK]);
    expect(kinds(set())).toEqual([ACK]);
  });

  test.each([
    ["a query without a namespace", metaData("swap", "allocation")],
    ["an empty query", metaData("swap", "")],
    ["fewer queries than announced", join(text32("swap"), u32(2), text32("base:allocation"))],
    ["data after the queries", join(metaData("swap", "base:allocation"), [0])],
    ["2^32 - 1 queries", join(text32("swap"), u32(0xffffffff))],
  ])("%s is refused", (what, data) => {
    const answer = ask(haggling(), option(8), option(10, data), option(9, data));
    const expected = what.startsWith("2^32") ? TOO_BIG : INVALID;
    expect(kinds(answer)).toEqual([ACK, expected, expected]);
  });

  test("an unknown export is ERR_UNKNOWN", () => {
    expect(kinds(ask(haggling(), option(8), option(10, metaData("no", "base:allocation"))))).toEqual([
      ACK,
      UNKNOWN,
    ]);
  });

  /** Whether BLOCK_STATUS works after `pieces` and GO to "swap". */
  const selected = (...pieces: wire.Piece[]): boolean => {
    const rig = haggling(two);
    rig.send(option(8), ...pieces, go("swap"));
    rig.sent();
    const answer = ask(rig, wire.header({ command: 7, length: 512 }));
    return answer[7] === 5;
  };

  test("a selection holds for the export it was made for", () => {
    expect(selected(option(10, metaData("swap", "base:allocation")))).toBe(true);
    expect(selected(option(10, metaData("other", "base:allocation")))).toBe(false);
  });

  test("SET_META_CONTEXT replaces the selection even when it fails", () => {
    const good = option(10, metaData("swap", "base:allocation"));
    expect(selected(good, option(10, [1]))).toBe(false);
    expect(selected(good, option(10, metaData("nothing", "base:allocation")))).toBe(false);
    expect(selected(good, option(10, metaData("swap", "x-a:b")))).toBe(false);
    expect(selected(good, option(10, [1]), good)).toBe(true);
  });

  test("LIST_META_CONTEXT leaves the selection alone", () => {
    expect(selected(option(10, metaData("swap", "base:allocation")), option(9, metaData("swap")))).toBe(true);
  });
});

describe("STARTTLS", () => {
  test("without TLS is ERR_UNSUP", () => {
    expect(kinds(ask(haggling(), option(5), go("swap")))).toEqual([UNSUP, 3, ACK]);
  });

  test("with data is ERR_INVALID", () => {
    expect(kinds(ask(haggling({ tls: "allowed" }), option(5, [0])))).toEqual([INVALID]);
  });

  test("is acknowledged, and not one byte after it is consumed", () => {
    const rig = haggling({ tls: "allowed" });
    const bytes = join(option(5), go("swap"));
    expect(rig.session.receive(bytes, 0, bytes.length)).toBe(16);
    expect(rig.sent()).toEqual(optionReply(5, ACK));
    expect(rig.session.state).toBe("starttls");
    expect(rig.session.receive(bytes, 16, bytes.length)).toBe(0);
    rig.session.tlsEstablished();
    expect(rig.session.tlsActive).toBe(true);
    expect(kinds(ask(rig, option(5), go("swap")))).toEqual([INVALID, 3, ACK]);
    expect(() => rig.session.tlsEstablished()).toThrow(NbdUsageError);
  });

  test("discards what was negotiated in the clear", () => {
    const rig = haggling({ tls: "allowed" });
    rig.send(option(8), option(10, metaData("swap", "base:allocation")), option(5));
    rig.sent();
    rig.session.tlsEstablished();
    expect(ask(rig, go())).toEqual(join(exportInfo(7, ALL_FLAGS), optionReply(7, ACK)));
  });

  test("if required, everything but STARTTLS and ABORT is ERR_TLS_REQD before it", () => {
    const rig = haggling({ tls: "required" });
    const all = [3, 6, 7, 8, 9, 10, 11, 99].map((number) => option(number));
    expect(kinds(ask(rig, ...all))).toEqual(all.map(() => TLS_REQD));
    expect(kinds(ask(rig, option(5)))).toEqual([ACK]);
    rig.session.tlsEstablished();
    expect(kinds(ask(rig, option(8), go("swap")))).toEqual([ACK, 3, ACK]);
    expect(kinds(ask(haggling({ tls: "required" }), option(2)))).toEqual([ACK]);
  });

  test("if required, EXPORT_NAME before it ends the session", () => {
    const rig = haggling({ tls: "required" });
    rig.send(option(1, "'swap"));
    expect(rig.session.closeReason?.code).toBe("tls-required");
  });
});

describe("shutting down", () => {
  test("options are ERR_SHUTDOWN, except ABORT", () => {
    const rig = haggling();
    rig.session.shutDown();
    expect(kinds(ask(rig, option(3), go("swap"), option(99)))).toEqual([SHUTDOWN, SHUTDOWN, SHUTDOWN]);
    expect(kinds(ask(rig, option(2)))).toEqual([ACK]);
  });

  test("EXPORT_NAME ends the session", () => {
    const rig = haggling();
    rig.session.shutDown();
    rig.send(option(1, "'swap"));
    expect(rig.session.closeReason?.code).toBe("shut-down");
  });
});
