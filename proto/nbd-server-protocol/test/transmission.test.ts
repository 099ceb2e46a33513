import { describe, expect, test } from "vitest";
import { CommandFlag, NbdErrno, NbdUsageError } from "../src/index.ts";
import { anExport, ask, COOKIE, inTransmission, SIZE, structuredRig } from "./rig.ts";
import { chunk, errorChunk, go, header, infoData, join, option, simple, structured, u64 } from "./wire.ts";

const READ = 0;
const WRITE = 1;
const DISC = 2;
const FLUSH = 3;
const TRIM = 4;
const CACHE = 5;
const ZEROES = 6;
const STATUS = 7;

/** The error in a simple reply. */
const simpleError = (bytes: Uint8Array): number => {
  expect(bytes.length).toBe(16);
  expect(bytes).toEqual(simple(bytes[7], COOKIE));
  return bytes[7];
};

describe("what the session refuses by itself", () => {
  const end = SIZE - 512;

  test.each([
    ["READ", READ, 22],
    ["WRITE", WRITE, 28],
    ["TRIM", TRIM, 22],
    ["CACHE", CACHE, 22],
    ["WRITE_ZEROES", ZEROES, 28],
  ])("%s out of range", (_name, command, error) => {
    const rig = inTransmission();
    const payload = new Uint8Array(command === WRITE ? 513 : 0);
    for (const offset of [SIZE - 512, SIZE, SIZE + 1, 2 ** 53, 2n ** 64n - 1n]) {
      expect(simpleError(ask(rig, { command, offset, length: 513 }, payload))).toBe(error);
    }
    expect(rig.seen).toEqual([]);
    const inside = ask(
      rig,
      { command, offset: end, length: 512 },
      payload.subarray(0, 512 * Number(command === 1)),
    );
    expect(inside[7]).toBe(0);
  });

  test("BLOCK_STATUS out of range is a structured EINVAL", () => {
    const answer = ask(structuredRig(), { command: STATUS, offset: end, length: 513 });
    expect(answer).toEqual(errorChunk(22, COOKIE, "the request goes beyond the end of the export"));
  });

  test("after STRUCTURED_REPLY, read errors are structured too", () => {
    const rig = structuredRig();
    const answer = ask(rig, { command: READ, offset: SIZE, length: 1 });
    expect(answer).toEqual(errorChunk(22, COOKIE, "the request goes beyond the end of the export"));
    rig.hold = true;
    rig.send(header({ command: READ, cookie: 3, length: 1 }));
    rig.session.replyError(rig.waiting[0], NbdErrno.EIO, "page lost");
    expect(rig.sent()).toEqual(errorChunk(5, 3, "page lost"));
  });

  test("a read-only export answers what writes with EPERM, and drops the payload", () => {
    const rig = inTransmission({ exports: [anExport({ readOnly: true })] });
    expect(simpleError(ask(rig, { command: WRITE, length: 5 }, "'hello"))).toBe(1);
    expect(simpleError(ask(rig, { command: TRIM, length: 512 }))).toBe(1);
    expect(simpleError(ask(rig, { command: ZEROES, length: 512 }))).toBe(1);
    expect(ask(rig, { command: READ, length: 1 })).toEqual(simple(0, COOKIE, [0]));
    expect(simpleError(ask(rig, { command: FLUSH }))).toBe(0);
  });

  test.each([8, 9, 255, 0xffff])("unknown command %d is EINVAL", (command) => {
    const rig = inTransmission();
    expect(simpleError(ask(rig, { command, length: 512 }))).toBe(22);
    expect(simpleError(ask(rig, { command: FLUSH }))).toBe(0);
  });

  test.each([
    ["READ with NO_HOLE", READ, CommandFlag.NO_HOLE],
    ["READ with DF, without structured replies", READ, CommandFlag.DF],
    ["WRITE with NO_HOLE", WRITE, CommandFlag.NO_HOLE],
    ["WRITE with an unknown flag", WRITE, 0x8000],
    ["FLUSH with REQ_ONE", FLUSH, CommandFlag.REQ_ONE],
    ["TRIM with FAST_ZERO", TRIM, CommandFlag.FAST_ZERO],
    ["WRITE_ZEROES with DF", ZEROES, CommandFlag.DF],
  ])("%s is EINVAL", (_what, command, flags) => {
    const rig = inTransmission();
    const length = command === FLUSH ? 0 : 4;
    const payload = new Uint8Array(command === WRITE ? 4 : 0);
    expect(simpleError(ask(rig, { command, flags, length }, payload))).toBe(22);
    expect(simpleError(ask(rig, { command: FLUSH }))).toBe(0);
  });

  test("FUA is valid with every command once offered, and with none otherwise", () => {
    const withFua = structuredRig();
    const without = structuredRig({ exports: [anExport({ canFua: false })] });
    for (const command of [READ, WRITE, FLUSH, TRIM, CACHE, ZEROES, STATUS]) {
      const length = command === FLUSH ? 0 : 4;
      const payload = new Uint8Array(command === WRITE ? 4 : 0);
      const request = { command, flags: CommandFlag.FUA, length };
      expect(ask(withFua, request, payload).subarray(4, 8)).not.toEqual(join("00018001"));
      expect(ask(without, request, payload).subarray(4, 8)).toEqual(join("00018001"));
    }
    expect(withFua.seen.every((seen) => seen.flags === 1)).toBe(true);
  });

  test("commands that the export does not offer are EINVAL", () => {
    const no = {
      canFlush: false,
      canTrim: false,
      canWriteZeroes: false,
      canFastZero: false,
      canCache: false,
    };
    const rig = inTransmission({ exports: [anExport(no)] });
    for (const command of [FLUSH, TRIM, CACHE, ZEROES]) {
      expect(simpleError(ask(rig, { command, length: command === FLUSH ? 0 : 4 }))).toBe(22);
    }
  });

  test("FAST_ZERO and NO_HOLE reach the handler; FAST_ZERO only if offered", () => {
    const rig = inTransmission();
    expect(simpleError(ask(rig, { command: ZEROES, flags: 2 | 16, length: 4 }))).toBe(0);
    expect(rig.seen[0].flags).toBe(18);
    const slow = inTransmission({ exports: [anExport({ canFastZero: false })] });
    expect(simpleError(ask(slow, { command: ZEROES, flags: 16, length: 4 }))).toBe(22);
  });

  test("a flush with an offset or a length is EINVAL", () => {
    const rig = inTransmission();
    expect(simpleError(ask(rig, { command: FLUSH, offset: 1 }))).toBe(22);
    expect(simpleError(ask(rig, { command: FLUSH, length: 1 }))).toBe(22);
  });

  test("BLOCK_STATUS without a selected context, or of nothing, is EINVAL", () => {
    expect(simpleError(ask(inTransmission(), { command: STATUS, length: 4 }))).toBe(22);
    expect(ask(inTransmission({}, structured()), { command: STATUS, length: 4 })[7]).toBe(1);
    expect(ask(structuredRig(), { command: STATUS })).toEqual(
      errorChunk(22, COOKIE, "the length must not be 0"),
    );
  });

  test("requests of length 0 inside the export succeed without the handler", () => {
    const rig = inTransmission();
    for (const command of [READ, WRITE, TRIM, CACHE, ZEROES]) {
      expect(simpleError(ask(rig, { command, offset: SIZE }))).toBe(0);
    }
    expect(simpleError(ask(rig, { command: READ, offset: SIZE + 1 }))).toBe(22);
    expect(rig.seen).toEqual([]);
  });

  test("requests of 512 bytes are served whatever the minimum, if the client never asked for it", () => {
    const blockSize = { minimum: 4096, preferred: 4096, maximum: 65536 };
    const rig = inTransmission({ exports: [anExport({ blockSize })] });
    expect(simpleError(ask(rig, { command: WRITE, offset: 512, length: 512 }, new Uint8Array(512)))).toBe(0);
  });

  test("a client that only looked at the block sizes, with INFO, was held to them as if it had agreed", () => {
    const blockSize = { minimum: 4096, preferred: 4096, maximum: 65536 };
    const rig = inTransmission({ exports: [anExport({ blockSize })] }, option(6, infoData("swap", 3)));
    expect(simpleError(ask(rig, { command: TRIM, offset: 512, length: 512 }))).toBe(0);
  });

  test("a client that was told the minimum is held to it, but for the export's end", () => {
    const blockSize = { minimum: 4096, preferred: 4096, maximum: 65536 };
    const exports = [anExport({ blockSize, sizeBytes: 8192 + 512 })];
    const rig = inTransmission({ exports }, go("swap", 3));
    expect(simpleError(ask(rig, { command: TRIM, offset: 512, length: 4096 }))).toBe(22);
    expect(simpleError(ask(rig, { command: TRIM, offset: 4096, length: 512 }))).toBe(22);
    expect(simpleError(ask(rig, { command: TRIM, offset: 8192, length: 512 }))).toBe(0);
    expect(simpleError(ask(rig, { command: TRIM, offset: 4096, length: 4096 }))).toBe(0);
  });
});

describe("the maximum block size", () => {
  const big = { exports: [anExport({ sizeBytes: 2 ** 40 })] };
  const MAX = 32 * 1024 * 1024;

  test("a longer READ is EINVAL, with DF EOVERFLOW", () => {
    const rig = structuredRig(big);
    const long = { command: READ, length: MAX + 1 };
    expect(ask(rig, long)).toEqual(errorChunk(22, COOKIE, "longer than the maximum block size"));
    const answer = ask(rig, { ...long, flags: CommandFlag.DF });
    expect(answer).toEqual(errorChunk(75, COOKIE, "too long to be sent as one chunk"));
  });

  test("a READ is refused whose chunk is longer than its 32 bits can say: the length was cut, framing lost", () => {
    const blockSize = { minimum: 1, preferred: 4096, maximum: 0xffffffff };
    const exports = [anExport({ sizeBytes: 2 ** 40, blockSize })];
    const rig = structuredRig({ exports });
    rig.hold = true;
    for (const length of [0xfffffff8, 0xffffffff]) {
      const answer = ask(rig, { command: READ, length });
      expect(answer).toEqual(errorChunk(22, COOKIE, "longer than the maximum block size"));
    }
    rig.send(header({ command: READ, length: 0xfffffff7 }));
    expect(rig.seen.map((seen) => seen.length)).toEqual([0xfffffff7]);
    const plain = inTransmission({ exports });
    plain.hold = true;
    plain.send(header({ command: READ, length: 0xffffffff }));
    expect(plain.seen.map((seen) => seen.length)).toEqual([0xffffffff]);
  });

  test("a READ with DF of 64 KiB comes in one chunk", () => {
    const rig = structuredRig();
    const answer = ask(rig, { command: READ, flags: CommandFlag.DF, offset: 4096, length: 65536 });
    expect(answer).toEqual(chunk(1, COOKIE, u64(4096), new Uint8Array(65536)));
  });

  test("TRIM, WRITE_ZEROES, CACHE and BLOCK_STATUS may be up to 2^32 - 1 long", () => {
    const rig = structuredRig(big);
    rig.hold = true;
    for (const command of [TRIM, ZEROES, CACHE, STATUS]) {
      rig.send(header({ command, offset: 2 ** 39, length: 0xffffffff }));
    }
    expect(rig.seen.map((seen) => seen.length)).toEqual(new Array(4).fill(0xffffffff));
    expect(rig.seen[0].offset).toBe(2 ** 39);
  });

  test("a longer WRITE is EINVAL, its payload is dropped, and framing survives", () => {
    const exports = [anExport({ blockSize: { minimum: 1, preferred: 512, maximum: 512 } })];
    const rig = inTransmission({ exports, limits: { writeDrainBytesMax: 1024 } });
    expect(simpleError(ask(rig, { command: WRITE, length: 1024 }, new Uint8Array(1024).fill(0x25)))).toBe(22);
    expect(simpleError(ask(rig, { command: FLUSH }))).toBe(0);
    expect(rig.memory.every((byte) => byte === 0)).toBe(true);
  });

  test("a WRITE longer than the drain bound ends the session", () => {
    const rig = inTransmission(big);
    rig.send(header({ command: WRITE, length: 64 * 1024 * 1024 + 1 }));
    expect(rig.session.closeReason?.code).toBe("write-too-long");
  });

  test("a WRITE of exactly the maximum is streamed through", () => {
    const exports = [anExport({ blockSize: { minimum: 1, preferred: 4096, maximum: SIZE } })];
    const rig = inTransmission({ exports });
    const payload = new Uint8Array(SIZE).map((_, index) => index % 251);
    expect(simpleError(ask(rig, { command: WRITE, length: SIZE }, payload))).toBe(0);
    expect(Buffer.compare(rig.memory, payload)).toBe(0);
  });
});

describe("the answer to a refused WRITE", () => {
  test("overtook the payload: libnbd took it for an answer to nothing, and hung up", () => {
    const rig = inTransmission({ exports: [anExport({ readOnly: true })] });
    rig.send(header({ command: WRITE, cookie: 7, length: 6 }), "'abcde");
    expect(rig.sent().length).toBe(0);
    rig.send("'f");
    expect(rig.sent()).toEqual(simple(1, 7));
    expect(simpleError(ask(rig, { command: FLUSH }))).toBe(0);
  });

  test("is not owed to a client that is gone before the payload has come", () => {
    const rig = inTransmission({ exports: [anExport({ readOnly: true })] });
    rig.send(header({ command: WRITE, length: 6 }), "'abc");
    rig.session.disconnected();
    expect(rig.closedWith?.pending).toEqual([]);
    expect(rig.sent().length).toBe(0);
  });
});

describe("the end of transmission", () => {
  test("DISC ends the session at once if nothing is in flight", () => {
    const rig = inTransmission();
    const bytes = join(header({ command: DISC }), header({ command: FLUSH }));
    expect(rig.session.receive(bytes, 0, bytes.length)).toBe(28);
    expect(rig.session.state).toBe("closed");
    expect(rig.sent().length).toBe(0);
  });

  test("after DISC what is in flight is answered, and nothing more is read", () => {
    const rig = inTransmission();
    rig.hold = true;
    rig.send(
      header({ command: TRIM, cookie: 1, length: 4 }),
      header({ command: READ, cookie: 2, length: 2 }),
    );
    expect(rig.send(header({ command: DISC }), header({ command: FLUSH }))).toBe(28);
    expect(rig.session.state).toBe("disconnecting");
    rig.answer(rig.waiting[0]);
    expect(rig.session.state).toBe("disconnecting");
    rig.answer(rig.waiting[1]);
    expect(rig.session.state).toBe("closed");
    expect(rig.closedWith).toEqual({ reason: undefined, pending: [] });
    expect(rig.sent()).toEqual(join(simple(0, 1), simple(0, 2, [0, 0])));
  });

  test("the last read after DISC is complete before the session ends", () => {
    const rig = inTransmission();
    rig.hold = true;
    rig.send(header({ command: READ, length: 3 }), header({ command: DISC }));
    rig.session.beginReadReply(rig.waiting[0]);
    expect(rig.session.state).toBe("disconnecting");
    rig.output.append(Uint8Array.of(1, 2, 3));
    rig.session.endReadReply();
    expect(rig.session.state).toBe("closed");
  });

  test("a lost connection hands over what is pending, a cut WRITE among it", () => {
    const rig = inTransmission();
    rig.hold = true;
    rig.send(
      header({ command: TRIM, cookie: 7, length: 4 }),
      header({ command: WRITE, cookie: 8, length: 10 }),
      "'abc",
    );
    expect(rig.session.payloadLeft).toBe(7);
    rig.session.disconnected();
    rig.session.disconnected();
    expect(rig.session.payloadLeft).toBe(0);
    expect(rig.closedCount).toBe(1);
    expect(rig.closedWith?.reason?.code).toBe("connection-lost");
    expect(rig.closedWith?.pending.map((request) => request.cookieLow)).toEqual([7, 8]);
    rig.session.replyOk(rig.waiting[0]);
    expect(rig.session.beginReadReply(rig.waiting[0])).toBe(false);
    expect(rig.sent().length).toBe(0);
  });

  test("a request without its magic ends the session", () => {
    const rig = inTransmission();
    rig.send("25609514", new Uint8Array(24));
    expect(rig.session.closeReason?.code).toBe("bad-request-magic");
    expect(rig.session.closeReason?.message).toContain("0x25609514");
  });

  test("shutting down: what is in flight is answered, all further is ESHUTDOWN, payloads are dropped", () => {
    const rig = inTransmission();
    rig.hold = true;
    rig.send(header({ command: TRIM, cookie: 1, length: 4 }));
    rig.session.shutDown();
    expect(simpleError(ask(rig, { command: WRITE, length: 3 }, "'abc"))).toBe(108);
    expect(simpleError(ask(rig, { command: READ, length: 3 }))).toBe(108);
    rig.answer(rig.waiting[0]);
    expect(rig.sent()).toEqual(simple(0, 1));
    rig.send(header({ command: DISC }));
    expect(rig.session.state).toBe("closed");
  });

  test("the server may end the session", () => {
    const rig = inTransmission();
    rig.session.close("idle for too long");
    expect(rig.session.closeReason?.code).toBe("closed-by-server");
    expect(rig.session.closeReason?.message).toBe("idle for too long");
    rig.session.close("again");
    expect(rig.session.closeReason?.message).toBe("idle for too long");
    expect(rig.closedCount).toBe(1);
  });
});

describe("a handler's mistakes are named", () => {
  test("answering twice, answering the wrong way, answering a WRITE too early", () => {
    const rig = inTransmission();
    rig.hold = true;
    rig.send(header({ command: TRIM, length: 4 }), header({ command: READ, length: 4 }));
    const [trim, read] = rig.waiting;
    rig.session.replyOk(trim);
    expect(() => rig.session.replyOk(trim)).toThrow(NbdUsageError);
    expect(() => rig.session.replyOk(read)).toThrow(NbdUsageError);
    expect(() => rig.session.replyRead(read, new Uint8Array(3))).toThrow(NbdUsageError);
    expect(() => rig.session.replyBlockStatus(read, [])).toThrow(NbdUsageError);
    let early: unknown;
    rig.onRequest = (request) => {
      try {
        request.session.replyOk(request);
      } catch (error) {
        early = error;
      }
    };
    rig.send(header({ command: WRITE, length: 4 }));
    expect(early).toBeInstanceOf(NbdUsageError);
  });

  test("an early error to a WRITE is sent, and the rest of its payload dropped", () => {
    const rig = inTransmission();
    rig.onRequest = (request) => {
      if (request.command === WRITE) request.session.replyError(request, NbdErrno.EIO);
    };
    rig.send(header({ command: WRITE, cookie: 4, length: 6 }), "'abc");
    rig.send("'def", header({ command: FLUSH, cookie: 5 }));
    expect(rig.sent()).toEqual(join(simple(5, 4), simple(0, 5)));
    expect(rig.memory[0]).toBe(0);
  });

  test("an early error to a WRITE overtook its payload: libnbd took it for an answer to nothing, and hung up", () => {
    const rig = inTransmission();
    rig.onRequest = (request) => {
      if (request.command === WRITE) request.session.replyError(request, NbdErrno.EIO);
    };
    rig.send(header({ command: WRITE, cookie: 4, length: 6 }), "'abc");
    expect(rig.sent().length).toBe(0);
    expect(rig.session.inFlight).toBe(0);
    rig.send("'def");
    expect(rig.sent()).toEqual(simple(5, 4));
  });

  test.each([0, 2 ** 32, 2 ** 32 + 5, 2, -5, 0.5])(
    "%d is no error of the protocol: 2^32 was sent as success",
    (error) => {
      const rig = inTransmission();
      rig.hold = true;
      rig.send(header({ command: READ, length: 4 }));
      expect(() => rig.session.replyError(rig.waiting[0], error as NbdErrno)).toThrow(NbdUsageError);
      expect(rig.sent().length).toBe(0);
    },
  );

  test("NUL in a message was sent to the client, whose strings must not have it", () => {
    const rig = structuredRig();
    rig.hold = true;
    rig.send(header({ command: READ, cookie: 1, length: 4 }));
    rig.session.replyError(rig.waiting[0], NbdErrno.EIO, "disk\0gone");
    expect(rig.sent()).toEqual(errorChunk(5, 1, "disk gone"));
  });

  test("receive() inside receive()", () => {
    const rig = inTransmission();
    let nested: unknown;
    rig.onRequest = () => {
      try {
        rig.send([0]);
      } catch (error) {
        nested = error;
      }
    };
    rig.send(header({ command: FLUSH }));
    expect(nested).toBeInstanceOf(NbdUsageError);
  });
});

test("requests are used again: as many are made as were in flight at once", () => {
  const rig = inTransmission();
  const made = new Set<unknown>();
  rig.onRequest = (request) => made.add(request);
  for (let index = 0; index < 100; index++) rig.send(header({ command: FLUSH }));
  expect(made.size).toBe(1);
});

test("refusals are told to emit, with what was refused", () => {
  const rig = inTransmission();
  rig.send(header({ command: READ, offset: SIZE, length: 1 }));
  expect(rig.events.at(-1)).toEqual({
    kind: "refused",
    command: 0,
    flags: 0,
    offset: SIZE,
    length: 1,
    error: 22,
    message: "the request goes beyond the end of the export",
  });
});
