import { describe, expect, test } from "vitest";
import { NbdExtents, NbdUsageError } from "../src/index.ts";
import { ask, COOKIE, inTransmission, SIZE, structuredRig } from "./rig.ts";
import type { RequestFields } from "./wire.ts";
import { chunk, header, join, simple, u32, u64 } from "./wire.ts";

const READ = 0;
const WRITE = 1;
const FLUSH = 3;
const TRIM = 4;
const CACHE = 5;
const ZEROES = 6;
const STATUS = 7;

describe("golden replies", () => {
  test("simple: success, error, data", () => {
    const rig = inTransmission();
    expect(ask(rig, { command: WRITE, offset: 8, length: 3 }, "'abc")).toEqual(
      join("67446698 00000000 fedcba9876543210"),
    );
    expect(ask(rig, { command: 99 })).toEqual(join("67446698 00000016 fedcba9876543210"));
    expect(ask(rig, { command: READ, offset: 7, length: 5 })).toEqual(
      join("67446698 00000000 fedcba9876543210 00 616263 00"),
    );
  });

  test("structured: data, hole, none, error, block status", () => {
    const rig = structuredRig();
    rig.memory.set([1, 2, 3], 512);
    expect(ask(rig, { command: READ, offset: 512, length: 3 })).toEqual(
      join("668e33ef 0001 0001 fedcba9876543210 0000000b 0000000000000200 010203"),
    );
    expect(ask(rig, { command: READ })).toEqual(join("668e33ef 0001 0000 fedcba9876543210 00000000"));
    const text = "unknown command";
    expect(ask(rig, { command: 99 })).toEqual(
      join("668e33ef 0001 8001 fedcba9876543210 00000015 00000016 000f", `'${text}`),
    );
    expect(ask(rig, { command: STATUS, length: 4096 })).toEqual(
      join("668e33ef 0001 0005 fedcba9876543210 0000000c 00000001 00001000 00000000"),
    );
    rig.hold = true;
    rig.send(header({ command: READ, cookie: COOKIE, offset: 512, length: 4096 }));
    rig.session.replyReadZeroes(rig.waiting[0]);
    expect(rig.sent()).toEqual(
      join("668e33ef 0001 0002 fedcba9876543210 0000000c 0000000000000200 00001000"),
    );
  });

  test("zeroes without structured replies are sent as they are", () => {
    const rig = inTransmission();
    rig.hold = true;
    rig.send(header({ command: READ, cookie: 5, length: 10_000 }));
    rig.session.replyReadZeroes(rig.waiting[0]);
    expect(rig.sent()).toEqual(simple(0, 5, new Uint8Array(10_000)));
  });

  test("a success without data stays a simple reply among structured ones", () => {
    const rig = structuredRig();
    for (const command of [FLUSH, TRIM, CACHE, ZEROES]) {
      const length = command === FLUSH ? 0 : 512;
      expect(ask(rig, { command, length })).toEqual(simple(0, COOKIE));
    }
  });

  test("beginReadReply puts the header, and the caller's bytes follow", () => {
    for (const rig of [inTransmission(), structuredRig()]) {
      rig.hold = true;
      rig.send(header({ command: READ, cookie: 9, offset: 1024, length: 6000 }));
      const [request] = rig.waiting;
      const data = new Uint8Array(request.length).fill(7);
      expect(rig.session.beginReadReply(request)).toBe(true);
      rig.output.append(data);
      rig.session.endReadReply();
      const whole = rig.session.structuredReplies ? chunk(1, 9, u64(1024), data) : simple(0, 9, data);
      expect(rig.sent()).toEqual(whole);
      expect(rig.session.inFlight).toBe(0);
    }
  });
});

describe("block status", () => {
  function status(fields: Partial<RequestFields>, extents: { length: number; flags: number }[] | NbdExtents) {
    const rig = structuredRig();
    rig.hold = true;
    rig.send(header({ command: STATUS, cookie: 1, ...fields }));
    rig.session.replyBlockStatus(rig.waiting[0], extents);
    return rig.sent();
  }
  const reply = (...extents: number[]): Uint8Array => chunk(5, 1, u32(1), ...extents.map(u32));

  test("neighbours are merged, nothing empty is sent, the end is cut", () => {
    const extents = [
      { length: 512, flags: 0 },
      { length: 0, flags: 3 },
      { length: 512, flags: 0 },
      { length: 9999, flags: 3 },
      { length: 1, flags: 0 },
    ];
    expect(status({ length: 2048 }, extents)).toEqual(reply(1024, 0, 1024, 3));
  });

  test("REQ_ONE gets one extent", () => {
    const extents = [
      { length: 512, flags: 1 },
      { length: 512, flags: 1 },
      { length: 512, flags: 2 },
    ];
    expect(status({ length: 2048, flags: 8 }, extents)).toEqual(reply(1024, 1));
  });

  test("less than the range is sent as it is; nothing at all means data", () => {
    expect(status({ length: 2048 }, [{ length: 512, flags: 2 }])).toEqual(reply(512, 2));
    expect(status({ length: 2048 }, [])).toEqual(reply(2048, 0));
  });

  test("more extents than the bound are left out", () => {
    const extents = new NbdExtents(3000);
    extents.reset(0xffffffff);
    for (let index = 0; index < 3000; index++) extents.add(512, index % 2);
    const answer = status({ length: SIZE }, extents);
    expect(answer.length).toBe(20 + 4 + 1024 * 8);
    expect(answer.subarray(-8)).toEqual(join(u32(512), u32(1)));
  });

  test("extents that are no integers are the handler's mistake", () => {
    expect(() => status({ length: 1 }, [{ length: -1, flags: 0 }])).toThrow(NbdUsageError);
    expect(() => status({ length: 1 }, [{ length: 0.5, flags: 0 }])).toThrow(NbdUsageError);
    expect(() => new NbdExtents(0)).toThrow(NbdUsageError);
  });
});
