import { expect, test } from "vitest";
import { inTransmission, Rig, SIZE } from "./rig.ts";
import { clientFlags, GREETING, go, header, join, optionReply, simple, u16, u64 } from "./wire.ts";

test("a client that negotiates with GO writes, reads back and leaves", () => {
  const rig = new Rig();
  rig.session.start();
  expect(rig.sent()).toEqual(GREETING);
  rig.send(clientFlags(), go("swap"));
  const flags = 1 | 4 | 8 | 32 | 64 | 256 | 1024 | 2048;
  expect(rig.sent()).toEqual(join(optionReply(7, 3, u16(0), u64(SIZE), u16(flags)), optionReply(7, 1)));
  expect(rig.session.state).toBe("transmission");

  rig.send(header({ command: 1, cookie: 0x1122334455667788n, offset: 4096, length: 5 }), "'hello");
  expect(rig.sent()).toEqual(simple(0, 0x1122334455667788n));
  rig.send(header({ command: 0, cookie: 2, offset: 4095, length: 7 }));
  expect(rig.sent()).toEqual(simple(0, 2, [0], "'hello", [0]));
  rig.send(header({ command: 2 }));
  expect(rig.session.state).toBe("closed");
  expect(rig.session.closeReason).toBeUndefined();
  expect(rig.closedCount).toBe(1);
});

test("a session in transmission starts with an empty output", () => {
  expect(inTransmission().output.length).toBe(0);
});
